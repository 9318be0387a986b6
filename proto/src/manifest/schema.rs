//! The JSON Schema of `manifest.json`.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;

use super::layout::Manifest;

impl Manifest {
    /// The JSON Schema of the manifest that this version writes, draft 2020-12; no field may stand
    /// there that it does not name.
    pub fn schema() -> Schema {
        let generator = SchemaSettings::draft2020_12()
            .for_serialize()
            .with_transform(RecursiveTransform(closed));
        generator.into_generator().into_root_schema_for::<Self>()
    }
}

fn closed(schema: &mut Schema) {
    if schema.get("properties").is_none() {
        return;
    }
    // The alternatives of `selection.subset` add fields to those that all of them have.
    let has_alternatives = schema.get("oneOf").is_some();
    let keyword = if has_alternatives {
        "unevaluatedProperties"
    } else {
        "additionalProperties"
    };
    schema.insert(keyword.to_owned(), false.into());
}
