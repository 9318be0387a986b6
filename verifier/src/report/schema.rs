//! JSON Schemas of what the commands write, draft 2020-12; nothing may stand there that they do not
//! name.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::bench::Bench;
use super::check::Check;
use super::matrix::Matrix;
use super::record::{Body, Record};
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
    schema
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

fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
}
