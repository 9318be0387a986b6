//! Writing a state dict as torch.save does: an OrderedDict of tensors, each in a storage of its
//! own.

use std::io::{self, Seek, Write};

use proto::checkpoint::ArchiveWriter;
use proto::config::Parameter;
use proto::pickle::Pickler;

use crate::tensor_file::shape_and_bytes;
use crate::vit::Vit;

pub(super) fn write(writer: impl Write + Seek, vit: &Vit) -> io::Result<()> {
    let mut archive = ArchiveWriter::new(writer);
    if let Err(error) = write_entries(&mut archive, vit) {
        archive.abandon();
        return Err(error);
    }
    archive.finish()?;
    Ok(())
}

fn write_entries(archive: &mut ArchiveWriter<impl Write + Seek>, vit: &Vit) -> io::Result<()> {
    let parameters = vit.config().parameters();
    let variables = vit.variables();
    archive.entry("data.pkl", &state_dict(&parameters))?;
    archive.entry("byteorder", b"little")?;
    for (index, parameter) in parameters.iter().enumerate() {
        let (_, bytes) = shape_and_bytes(&variables[&parameter.name]);
        archive.entry(&format!("data/{index}"), &bytes)?;
    }
    archive.entry("version", b"3\n") // `kMinProducedFileFormatVersion`, of the same file
}

/// The pickle of contiguous float32 tensors, the storage of each called by its position.
fn state_dict(parameters: &[Parameter]) -> Vec<u8> {
    let mut pickler = Pickler::new();
    pickler.ordered_dict().op(b'(');
    for (index, parameter) in parameters.iter().enumerate() {
        let elements = parameter.shape.iter().product();
        pickler
            .text(&parameter.name)
            .global("torch._utils", "_rebuild_tensor_v2")
            .op(b'(');
        pickler.storage("FloatStorage", &index.to_string(), "cpu", elements);
        pickler
            .int(0)
            .counts(&parameter.shape)
            .counts(&contiguous_strides(&parameter.shape));
        pickler.op(NEWFALSE).ordered_dict().op(b't').op(b'R');
    }
    pickler.op(b'u');
    pickler.stop()
}

/// How far apart neighbours are on each axis in C order, in elements.
fn contiguous_strides(shape: &[usize]) -> Vec<usize> {
    (1..=shape.len())
        .map(|inner| shape[inner..].iter().product())
        .collect()
}

const NEWFALSE: u8 = 0x89;
