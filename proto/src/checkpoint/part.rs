//! Checkpoints that were split into several files, as `save_pretrained` of Hugging Face does:
//! `model-00001-of-00002.safetensors`, and an index that says which tensor is where.

use std::fmt;
use std::path::Path;

/// One of the files that a checkpoint is split into, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    number: u32,
    of: u32,
    /// What the names of all parts begin with.
    name: String,
    is_safetensors: bool,
}

impl Part {
    /// By a name such as `pytorch_model-00001-of-00002.bin`.
    pub fn of(path: &Path) -> Option<Self> {
        let (name, ending) = path.file_name()?.to_str()?.rsplit_once('.')?;
        let (name, of) = name.rsplit_once("-of-")?;
        let (name, number) = name.rsplit_once('-')?;
        let count = |digits: &str| digits.parse().ok();
        Some(Self {
            number: count(number)?,
            of: count(of)?,
            name: name.to_owned(),
            is_safetensors: ending == "safetensors",
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number, of, name, ..
        } = self;
        write!(
            f,
            "part {number} of {of} of a checkpoint, by its name: expected all tensors in one \
             file\nhint: {}",
            join(&name.escape_debug().to_string(), self.is_safetensors)
        )
    }
}

/// How all parts become one file.
pub(super) fn join(name: &str, is_safetensors: bool) -> String {
    let (load, ending) = match is_safetensors {
        true => ("safetensors.torch.load_file(part)", "safetensors"),
        false => ("torch.load(part)", "bin"),
    };
    format!(
        "join them, in Python: torch.save({{name: tensor for part in \
         glob.glob(\"{name}-*-of-*.{ending}\") for name, tensor in {load}.items()}}, NEW)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_their_names() {
        let part = |name: &str| Part::of(Path::new(name)).map(|part| part.to_string());
        let first = part("a/model-00001-of-00002.safetensors").expect("a part");
        assert!(first.starts_with("part 1 of 2 of a checkpoint"), "{first}");
        assert!(first.contains("model-*-of-*.safetensors"), "{first}");
        let second = part("pytorch_model-00002-of-00002.bin").expect("a part");
        assert!(second.contains("torch.load(part)"), "{second}");
        for name in [
            "model.bin",
            "best-of-2.pth",
            "vit-of-ten.pth",
            "a-1-of-x.pth",
        ] {
            assert_eq!(part(name), None, "{name}");
        }
    }
}
