//! The JSON Schema of `manifest.json`.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::Value;

use super::layout::Manifest;

impl Manifest {
    /// The JSON Schema of the manifest that this version writes, draft 2020-12; no field may stand
    /// there that it does not name.
    pub fn schema() -> Schema {
        let generator = SchemaSettings::draft2020_12()
            .for_serialize()
            .with_transform(RecursiveTransform(closed))
            .with_transform(RecursiveTransform(open_alternatives));
        generator.into_generator().into_root_schema_for::<Self>()
    }
}

/// Refuses fields that a schema does not name. Alternatives add fields to those that all of them
/// have, as in `selection.subset`: there the whole is closed.
fn closed(schema: &mut Schema) {
    if schema.get("properties").is_none() {
        return;
    }
    let keyword = match schema.get("oneOf") {
        Some(_) => "unevaluatedProperties",
        None => "additionalProperties",
    };
    schema.insert(keyword.to_owned(), false.into());
}

/// An alternative by itself does not know the fields that all of them have.
fn open_alternatives(schema: &mut Schema) {
    if schema.get("unevaluatedProperties").is_none() {
        return;
    }
    let alternatives = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    for alternative in alternatives.into_iter().flatten() {
        if let Some(fields) = alternative.as_object_mut() {
            fields.remove("additionalProperties");
        }
    }
}
