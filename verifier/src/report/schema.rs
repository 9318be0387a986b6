//! JSON Schemas of what the commands write, draft 2020-12; nothing may stand there that they do not
//! name.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use super::bench::Bench;
use super::campaign::CampaignReport;
use super::check::Check;
use super::matrix::Matrix;
use super::record::{Body, Record};
use super::watch::WatchReport;
use crate::calibrate::file::CalibrationFile;

/// Of the record: one of a check, of a comparison or of times.
pub fn record_schema() -> Schema {
    let mut generator = generator();
    let records = [
        record_of::<Check>(&mut generator),
        record_of::<Matrix>(&mut generator),
        record_of::<Bench>(&mut generator),
    ];
    let mut schema = json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Record of `verifier check`, `compare` or `bench`",
        "oneOf": records,
    });
    schema.insert("$defs".to_owned(), generator.take_definitions(true).into());
    let mut schema = schema.to_value();
    let mut shared = Vec::new();
    close_alternatives(&mut schema, &mut shared);
    for pointer in shared {
        if let Some(definition) = schema.pointer_mut(pointer.trim_start_matches('#')) {
            open(definition);
        }
    }
    Schema::try_from(schema).expect("a schema that was one before")
}

/// Of the report of a campaign.
pub fn campaign_schema() -> Schema {
    let mut schema = generator()
        .into_root_schema_for::<CampaignReport>()
        .to_value();
    close_alternatives(&mut schema, &mut vec![]);
    Schema::try_from(schema).expect("a schema that was one before")
}

/// Of the report of a watch's log.
pub fn watch_schema() -> Schema {
    generator().into_root_schema_for::<WatchReport>()
}

/// Of `<bundle>.calibration.json`.
pub fn calibration_schema() -> Schema {
    generator().into_root_schema_for::<CalibrationFile>()
}

fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings
        .with_transform(RecursiveTransform(close))
        .into_generator()
}

/// The record of one command, which is told by its name.
fn record_of<B: Body>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = <Record<B> as JsonSchema>::json_schema(generator);
    if let Some(command) = schema.pointer_mut("/properties/command") {
        command["const"] = B::COMMAND.into();
    }
    close(&mut schema);
    schema
}

/// Fields of an object and of one of its alternatives stand side by side: only both together say
/// what may stand there. Collects the definitions that alternatives refer to.
fn close_alternatives(value: &mut Value, shared: &mut Vec<String>) {
    match value {
        Value::Array(values) => {
            for value in values {
                close_alternatives(value, shared);
            }
        }
        Value::Object(fields) => {
            let has_fields = fields.contains_key("properties");
            let alternatives = alternatives(fields);
            if has_fields && !alternatives.is_empty() {
                for alternative in alternatives {
                    let reference = alternative.get("$ref").and_then(Value::as_str);
                    shared.extend(reference.map(str::to_owned));
                    open(alternative);
                }
                fields.remove("additionalProperties");
                fields.insert("unevaluatedProperties".to_owned(), false.into());
            }
            for value in fields.values_mut() {
                close_alternatives(value, shared);
            }
        }
        _ => {}
    }
}

/// Those of one enum whose fields are among an object's own, or of several.
fn alternatives(fields: &mut Map<String, Value>) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("oneOf", Value::Array(values)) => found.extend(values),
            ("allOf", Value::Array(parts)) => {
                let lists = parts.iter_mut().filter_map(|part| part.get_mut("oneOf"));
                found.extend(lists.filter_map(Value::as_array_mut).flatten());
            }
            _ => {}
        }
    }
    found
}

fn open(schema: &mut Value) {
    if let Value::Object(fields) = schema {
        fields.remove("additionalProperties");
    }
}

fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
}
