//! The sizes of the network whose weights a checkpoint holds, by the names and shapes in it.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use proto::checkpoint::{Archive, Format, HEAD, Part, Tree, listed};
use proto::config::{
    Parameter, Preset, Shapes, ShapesError, Told, VitConfig, refuse_other_networks,
};
use proto::pickle::{Pickle, Value};
use proto::regular_file;

use super::error::{PthError, PthFault, place};
use super::names::Names;
use super::no_weights::no_weights;
use super::prefixes::differing;
use super::safetensors_file::SafetensorsFile;
use super::state_dict::{Candidate, StateDict};

/// Places of a file that are looked at.
const MOST_PLACES: usize = 16;

/// Why the sizes are not known.
#[derive(Debug, thiserror::Error)]
pub enum SizesError {
    #[error(transparent)]
    Pth(#[from] PthError),
    /// The names and shapes are those of no network.
    #[error("{path}: {}{fault}", place(at.as_deref()))]
    Shapes {
        path: PathBuf,
        /// Where in the file they stand, if something else is there too.
        at: Option<String>,
        fault: Box<ShapesError>,
    },
    #[error("{path}: several entries are weights of networks of different sizes: {found}")]
    Several { path: PathBuf, found: String },
}

/// A place in a file where tensors of a network stand.
struct Place {
    /// What [`Options::key`](super::Options) calls it.
    key: String,
    /// How many tensors share the prefix.
    tensors: usize,
    config: Result<VitConfig, NoSizes>,
}

/// Why a place has no weights of a network.
enum NoSizes {
    Shapes(ShapesError),
    Tensors(PthFault),
}

/// The network whose weights a checkpoint holds, under a key if one is given; what no shape tells
/// is as told.
pub fn config_of(path: &Path, key: Option<&str>, told: Told) -> Result<VitConfig, SizesError> {
    let places = regular_file::open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PthFault::Absent,
            _ => error.into(),
        })
        .and_then(|file| read(file, key, told));
    let places = places.map_err(|fault| refused(path, fault))?;
    let is_fitting = |place: &&Place| place.config.is_ok();
    let mut fitting = places.iter().filter_map(|place| place.config.as_ref().ok());
    let Some(first) = fitting.next() else {
        return Err(none_fits(path, places));
    };
    if fitting.any(|other| other != first) {
        let fitting = places.iter().filter(is_fitting);
        let key = |place: &Place| format!("`{}`", place.key);
        return Err(SizesError::Several {
            path: path.to_owned(),
            found: listed(fitting, key).join(", "),
        });
    }
    Ok(first.clone())
}

fn refused(path: &Path, fault: PthFault) -> SizesError {
    let fault = fault.in_file(path);
    let path = path.to_owned();
    SizesError::Pth(PthError { path, fault })
}

/// What is wrong with the place that has most names.
fn none_fits(path: &Path, places: Vec<Place>) -> SizesError {
    let place = places.into_iter().next().expect("a place");
    let at = (place.key != ".").then_some(place.key);
    match place.config.expect_err("none fits") {
        NoSizes::Tensors(fault) => refused(path, fault),
        NoSizes::Shapes(ShapesError::Missing { .. }) if let Some(part) = Part::of(path) => {
            refused(path, PthFault::Part(part))
        }
        NoSizes::Shapes(fault) => SizesError::Shapes {
            path: path.to_owned(),
            at,
            fault: Box::new(fault),
        },
    }
}

fn read(file: File, key: Option<&str>, told: Told) -> Result<Vec<Place>, PthFault> {
    let mut file = BufReader::new(file);
    let mut head = Vec::new();
    file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    file.rewind()?;
    match Format::of(&head)? {
        Format::Zip => {
            let bytes = Archive::open(file)?.pickle()?;
            in_pickle(&Pickle::parse(&bytes)?, key, told)
        }
        Format::Safetensors => {
            let tensors = SafetensorsFile::open(&mut file)?;
            in_pickle(&Pickle::of_tensors(tensors.views()), key, told)
        }
    }
}

fn in_pickle(pickle: &Pickle<'_>, key: Option<&str>, told: Told) -> Result<Vec<Place>, PthFault> {
    let tree = Tree::of(pickle);
    let landmarks = landmarks();
    let all: Vec<Candidate<'_>> = tree
        .dicts()
        .flat_map(|(node, entries)| Candidate::in_dict(node, entries, &landmarks))
        .take(MOST_PLACES)
        .collect();
    if all.is_empty() {
        return Err(no_weights(&tree));
    }
    let is_exact = all
        .iter()
        .any(|candidate| Some(&*candidate.path(&tree)) == key);
    let is_meant = |candidate: &&Candidate<'_>| {
        let is =
            |key| candidate.path(&tree) == key || (!is_exact && tree.path(candidate.node) == key);
        key.is_none_or(is)
    };
    let meant = all.iter().filter(is_meant);
    let mut places: Vec<Place> = meant
        .map(|&candidate| in_dict(&tree, candidate, &all, told))
        .collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.tensors));
    match key {
        Some(key) if places.is_empty() => Err(PthFault::NoKey {
            key: key.to_owned(),
            found: listed(all.iter(), |other| format!("`{}`", other.path(&tree))).join(", "),
        }),
        _ => Ok(places),
    }
}

/// The parameters outside of blocks, which are there however many blocks there are.
fn landmarks() -> Vec<Parameter> {
    let no_blocks = VitConfig {
        layers: 0,
        ..Preset::Tiny.config()
    };
    no_blocks.parameters()
}

fn in_dict<'a>(
    tree: &Tree<'a>,
    candidate: Candidate<'a>,
    all: &[Candidate<'a>],
    told: Told,
) -> Place {
    let state_dict = StateDict::of(tree, candidate, all);
    let tensors = state_dict.others(&[]).into_iter();
    let shapes: Shapes = tensors
        .filter_map(|(name, value)| {
            let tensor = tree.pickle.tensor(value)?;
            Some((name.to_owned(), tensor.shape.clone()))
        })
        .collect();
    Place {
        key: candidate.path(tree),
        tensors: shapes.len(),
        config: sizes(tree, &state_dict, &shapes, told),
    }
}

fn sizes<'a>(
    tree: &Tree<'a>,
    state_dict: &StateDict<'a>,
    shapes: &Shapes,
    told: Told,
) -> Result<VitConfig, NoSizes> {
    let beside = state_dict.beside.iter();
    let beside = beside.filter_map(|&(key, value)| match key {
        Value::Text(name) if tree.pickle.tensor(value).is_some() => Some(name),
        _ => None,
    });
    refuse_other_networks(beside).map_err(NoSizes::Shapes)?;
    if let Some(difference) = state_dict.first_no_tensor(&Names::of_any_size()) {
        let path = state_dict.candidate.path(tree);
        return Err(NoSizes::Tensors(PthFault::Difference {
            at: (path != ".").then_some(path),
            difference: Box::new(difference),
            fits: None,
        }));
    }
    VitConfig::of_shapes(shapes, told).map_err(|fault| {
        let prefixes = match &fault {
            ShapesError::Missing { name, .. } => differing(tree, state_dict.candidate, name),
            _ => None,
        };
        prefixes.map_or(NoSizes::Shapes(fault), NoSizes::Tensors)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: Told = Told {
        heads: Some(2),
        pool: None,
    };

    fn layout(name: &str) -> PathBuf {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        fixtures.join("layouts").join(name)
    }

    #[test]
    fn sizes_are_the_same_in_whatever_layout_the_weights_are() {
        let expected = VitConfig {
            image_size: 8,
            patch_size: 4,
            dim: 8,
            layers: 1,
            heads: 2,
            dim_head: 4,
            mlp_dim: 8,
            ..Preset::Tiny.config()
        };
        for name in [
            "averaged.pth",
            "beside.pth",
            "compiled.pth",
            "float16.pth",
            "lightning.pth",
            "model_ema.pth",
            "nested.pth",
            "net.pth",
            "parameters.pth",
            "plain.safetensors",
            "protocol_4.pth",
        ] {
            let found = config_of(&layout(name), None, HEADS);
            assert_eq!(found.expect(name), expected, "{name}");
        }
    }

    #[test]
    fn a_key_that_leads_to_no_weights_is_refused_with_those_that_do() {
        let message = |name: &str, key| {
            let found = config_of(&layout(name), key, HEADS);
            found.expect_err("no sizes").to_string()
        };
        let no_key = message("net.pth", Some("none"));
        assert!(no_key.contains("no weights under `none`"), "{no_key}");
        assert!(no_key.contains("`net`"), "{no_key}");
        let absent = message("none.pth", None);
        assert!(absent.ends_with("none.pth: no such file"), "{absent}");
    }
}
