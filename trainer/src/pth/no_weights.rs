//! What a file holds in which nothing is called as a parameter of the network is.

use proto::checkpoint::{Entries, Tree, listed};
use proto::pickle::{Object, Value};

use super::error::PthFault;

/// Words in the names of entries that weights are usually found under; what stands there instead is
/// not passed over.
const USUAL: [&str; 7] = ["model", "state", "net", "weight", "module", "param", "ema"];

pub(super) fn no_weights(tree: &Tree<'_>) -> PthFault {
    let root = tree.pickle.root;
    if let Some(name) = tree.pickle.name(root) {
        return PthFault::Called {
            called: name.describe(),
            is_all: true,
        };
    }
    let most = most_tensors(tree);
    if let Some(called) = called_instead(tree, most.is_some()) {
        return PthFault::Called {
            called,
            is_all: false,
        };
    }
    let (node, entries) = most.unwrap_or((0, tree.entries(0).unwrap_or_default()));
    let found = match entries {
        [] => tree.pickle.describe(root),
        entries => listed(entries.iter(), |&entry| tree.describe(node, entry)).join(", "),
    };
    PthFault::NoWeights {
        found,
        hint: hint(entries),
    }
}

/// The dict with the most tensors, if one has any.
fn most_tensors<'a>(tree: &Tree<'a>) -> Option<(usize, Entries<'a>)> {
    let tensors = |entries: Entries<'a>| {
        let values = entries.iter().map(|&(_, value)| tree.pickle.object(value));
        values
            .filter(|object| matches!(object, Some(Object::Tensor(_))))
            .count()
    };
    let dicts = tree.dicts().map(|dict| (tensors(dict.1), dict));
    let (_, most) = dicts
        .filter(|(count, _)| *count > 0)
        .reduce(|most, other| if other.0 > most.0 { other } else { most })?;
    Some(most)
}

/// What would be made by a call where weights usually stand; or anywhere, if there are no tensors.
fn called_instead(tree: &Tree<'_>, has_tensors: bool) -> Option<String> {
    let is_usual = |key: Value<'_>| match key {
        Value::Text(key) => {
            let key = key.to_lowercase();
            USUAL.iter().any(|usual| key.contains(usual))
        }
        _ => false,
    };
    let mut named = tree.inert.iter().filter_map(|inert| {
        let name = tree.pickle.name(inert.value)?;
        Some((inert, name))
    });
    let (_, name) =
        named.find(|(inert, _)| !has_tensors || (inert.node == 0 && is_usual(inert.key)))?;
    Some(name.describe())
}

/// What the other files of the Python repository are.
fn hint(entries: Entries<'_>) -> &'static str {
    let has = |name: &str| {
        let mut keys = entries.iter().map(|(key, _)| key);
        keys.any(|key| matches!(key, Value::Text(key) if *key == name))
    };
    if has("to_qkv.weight") {
        "\nhint: these are the weights of one attention alone, as model_subset.py writes them; \
         import those of the whole network, of which `exporter bundle` writes this part again as \
         weights/submodel.safetensors"
    } else if has("inputs") && has("targets") {
        "\nhint: this is a recorded data set, no weights; \
         `exporter bundle --recorded FILE` takes it"
    } else {
        ""
    }
}
