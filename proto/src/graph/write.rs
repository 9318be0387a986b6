//! A model as a file, one constant after the other: the bytes are those of one large protobuf
//! message, but no two large tensors are in memory together.
//!
//! A message holds at most 2 GiB; what exceeds it keeps its large constants in a second file, as
//! ONNX's external data.

use std::io::{self, Write};

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::builder::Model;
use super::elements::Constant;
use crate::onnx::tensor_proto::DataLocation;
use crate::onnx::{GraphProto, ModelProto, StringStringEntryProto, TensorProto};

/// A protobuf message cannot be larger (`MAXIMUM_PROTOBUF` of the ONNX checker: 2³¹ − 1).
pub const LARGEST_MESSAGE: usize = i32::MAX as usize;

/// Constants below this size stay in the model also when it has external data: tools want shapes to
/// be there.
const SMALLEST_EXTERNAL: usize = 1024;
/// ONNX advises to begin external tensors at a multiple of the page size, so that they can be
/// mapped.
const EXTERNAL_ALIGNMENT: usize = 4096;

/// Field numbers of onnx.proto.
mod field {
    pub(super) const MODEL_GRAPH: u32 = 7;
    pub(super) const GRAPH_INITIALIZER: u32 = 5;
    pub(super) const TENSOR_RAW_DATA: u32 = 9;
}

/// A constant as a message: all of it but its elements, and the constant if they follow here.
type Entry<'a> = (Vec<u8>, Option<&'a Constant<'a>>);

/// A model cut into the bytes before, between and after its constants.
struct Layout<'a> {
    before_graph: Vec<u8>,
    before_constants: Vec<u8>,
    constants: Vec<Entry<'a>>,
    after_constants: Vec<u8>,
    after_graph: Vec<u8>,
}

/// Bytes of the model as one message.
pub fn message_size(model: &Model<'_>) -> usize {
    Layout::whole(model).size()
}

/// Writes the model as one message.
pub fn write(model: &Model<'_>, out: &mut impl Write) -> io::Result<()> {
    Layout::whole(model).write(out)
}

/// Writes the model with its large constants in a second file, which lies beside the first under
/// the name `location`.
pub fn write_external(
    model: &Model<'_>,
    location: &str,
    out: &mut impl Write,
    external: &mut impl Write,
) -> io::Result<()> {
    let mut layout = Layout::around(model);
    let mut offset = 0usize;
    for constant in &model.constants {
        if constant.elements.byte_len() < SMALLEST_EXTERNAL {
            layout.constants.push(inside(constant));
            continue;
        }
        let padding = offset.next_multiple_of(EXTERNAL_ALIGNMENT) - offset;
        external.write_all(&vec![0; padding])?;
        offset += padding;
        let header = outside(constant, location, offset);
        layout.constants.push((header.encode_to_vec(), None));
        external.write_all(&constant.elements.bytes())?;
        offset += constant.elements.byte_len();
    }
    layout.write(out)
}

/// A constant as a message, up to the bytes of its elements.
fn inside<'a>(constant: &'a Constant<'a>) -> Entry<'a> {
    let mut header = constant.header.encode_to_vec();
    prefix(
        field::TENSOR_RAW_DATA,
        constant.elements.byte_len(),
        &mut header,
    );
    (header, Some(constant))
}

/// A constant whose elements lie in another file from a byte on.
fn outside(constant: &Constant<'_>, location: &str, offset: usize) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value),
    };
    TensorProto {
        external_data: vec![
            entry("location", location.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", constant.elements.byte_len().to_string()),
        ],
        data_location: Some(DataLocation::External as i32),
        ..constant.header.clone()
    }
}

/// The key and length before something of this length.
fn prefix(tag: u32, length: usize, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

fn prefixed_len(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

impl<'a> Layout<'a> {
    fn whole(model: &'a Model<'a>) -> Self {
        let constants = model.constants.iter().map(inside).collect();
        Self {
            constants,
            ..Self::around(model)
        }
    }

    /// Everything but the constants; fields keep the ascending order that encoders write.
    fn around(model: &Model<'_>) -> Self {
        let proto = &model.proto;
        let graph = proto.graph.clone().unwrap_or_default();
        let nodes = GraphProto {
            node: graph.node,
            name: graph.name,
            ..Default::default()
        };
        let values = GraphProto {
            input: graph.input,
            output: graph.output,
            value_info: graph.value_info,
            ..Default::default()
        };
        let first = ModelProto {
            opset_import: vec![],
            metadata_props: vec![],
            graph: None,
            ..proto.clone()
        };
        let last = ModelProto {
            opset_import: proto.opset_import.clone(),
            metadata_props: proto.metadata_props.clone(),
            ..Default::default()
        };
        Self {
            before_graph: first.encode_to_vec(),
            before_constants: nodes.encode_to_vec(),
            constants: vec![],
            after_constants: values.encode_to_vec(),
            after_graph: last.encode_to_vec(),
        }
    }

    fn graph_len(&self) -> usize {
        let constants = self
            .constants
            .iter()
            .map(|entry| prefixed_len(field::GRAPH_INITIALIZER, constant_len(entry)));
        self.before_constants.len() + constants.sum::<usize>() + self.after_constants.len()
    }

    fn size(&self) -> usize {
        self.before_graph.len()
            + prefixed_len(field::MODEL_GRAPH, self.graph_len())
            + self.after_graph.len()
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut key = Vec::new();
        prefix(field::MODEL_GRAPH, self.graph_len(), &mut key);
        out.write_all(&self.before_graph)?;
        out.write_all(&key)?;
        out.write_all(&self.before_constants)?;
        for entry in &self.constants {
            key.clear();
            prefix(field::GRAPH_INITIALIZER, constant_len(entry), &mut key);
            out.write_all(&key)?;
            out.write_all(&entry.0)?;
            if let Some(constant) = entry.1 {
                out.write_all(&constant.elements.bytes())?;
            }
        }
        out.write_all(&self.after_constants)?;
        out.write_all(&self.after_graph)
    }
}

fn constant_len((header, constant): &Entry<'_>) -> usize {
    header.len() + constant.map_or(0, |constant| constant.elements.byte_len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::builder::GraphBuilder;

    fn model() -> Model<'static> {
        let mut graph = GraphBuilder::new("test");
        let input = graph.input("x", &[3, 40]);
        let weights: Vec<u8> = (0..1600).flat_map(|n| (n as f32).to_le_bytes()).collect();
        let weight = graph.constant("weight", &[40, 40], weights);
        let product = graph.matmul_weight("product", &input, &weight, 40);
        let one = graph.scalar("one", 1.0);
        let output = graph.with_constant("Add", "y", &product, &one);
        graph.output(&output);
        let mut model = graph.finish();
        model.set_producer("test", "0");
        model.set_metadata(&[("key", "value".to_owned())]);
        model
    }

    #[test]
    fn a_streamed_model_has_the_bytes_of_one_message() {
        let model = model();
        let mut bytes = Vec::new();
        write(&model, &mut bytes).expect("write");
        assert_eq!(bytes, model.to_proto().encode_to_vec());
        assert_eq!(bytes.len(), message_size(&model));
    }

    #[test]
    fn external_data_holds_the_large_constants_at_their_offsets() {
        let model = model();
        let (mut bytes, mut external) = (Vec::new(), Vec::new());
        write_external(&model, "model.onnx.data", &mut bytes, &mut external).expect("write");
        let read = ModelProto::decode(bytes.as_slice())
            .expect("a model")
            .graph
            .expect("a graph");
        let whole = model.to_proto().graph.expect("a graph");
        assert_eq!(read.initializer.len(), 2);
        for (found, expected) in read.initializer.iter().zip(&whole.initializer) {
            let value = |key: &str| {
                let entry = found
                    .external_data
                    .iter()
                    .find(|entry| entry.key() == key)?;
                Some(entry.value().to_owned())
            };
            let bytes = match value("offset") {
                Some(offset) => {
                    assert_eq!(value("location").as_deref(), Some("model.onnx.data"));
                    let start: usize = offset.parse().expect("a number");
                    let length: usize = value("length")
                        .expect("an entry")
                        .parse()
                        .expect("a number");
                    &external[start..start + length]
                }
                None => found.raw_data(),
            };
            assert_eq!(bytes, expected.raw_data(), "{}", found.name());
        }
        assert_eq!(read.initializer[0].data_location(), DataLocation::External);
    }
}
