//! What a checkpoint of PyTorch holds: tensors by name, and what stands beside them. Nothing of it
//! is run.

use std::io::BufReader;
use std::path::Path;

use anyhow::{Context as _, Result};
use console::{grouped, say};
use proto::checkpoint::{Archive, Tree};
use proto::pickle::{Object, Pickle, Value};
use proto::regular_file;

/// An optimizer's state has three tensors for each of the weights.
const MOST_ROWS: usize = 5000;

pub(super) fn inspect_checkpoint(path: &Path) -> Result<()> {
    let name = || path.display().to_string();
    let file = regular_file::open(path).with_context(name)?;
    let size = file.metadata().with_context(name)?.len();
    let mut archive = Archive::open(BufReader::new(file)).with_context(name)?;
    let bytes = archive.pickle().with_context(name)?;
    let pickle = Pickle::parse(&bytes).with_context(name)?;
    let tree = Tree::of(&pickle);
    let size = grouped(size as usize);
    say!("checkpoint   {} (torch.save, {size} bytes)", path.display());
    say!("saved        {}", described(&pickle, pickle.root));
    let rows = tree.leaves().map(|(path, value)| {
        let row = format!("  {path:<60} {}", described(&pickle, value));
        row.trim_end().to_owned()
    });
    let mut rows = rows.peekable();
    for row in rows.by_ref().take(MOST_ROWS) {
        say!("{row}");
    }
    if rows.peek().is_some() {
        say!("  … and {} more", grouped(rows.count()));
    }
    let mut leaves = tree.leaves();
    if leaves.any(|(_, value)| pickle.tensor(value).is_some()) {
        say!(
            "import       `trainer import --pth {}` takes the weights of a whole network",
            path.display()
        );
    }
    Ok(())
}

/// A tensor's dtype and shape, a number's value, else what a value is.
fn described(pickle: &Pickle<'_>, value: Value<'_>) -> String {
    match (value, pickle.object(value)) {
        (_, Some(Object::Tensor(view))) => format!("{:<8} {:?}", view.storage.dtype, view.shape),
        (_, Some(Object::List(items) | Object::Tuple(items))) => {
            format!("{} of {}", pickle.describe(value), grouped(items.len()))
        }
        (_, Some(Object::Dict(entries))) => format!("dict of {}", grouped(entries.len())),
        (Value::Int(number), _) => number.to_string(),
        _ => pickle.describe(value),
    }
}
