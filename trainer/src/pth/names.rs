//! Names of a network's parameters, however many blocks it has, and of what else stands beside
//! them.

use proto::config::{Preset, VitConfig};

/// What stands before a block's number.
const BLOCKS: &str = "transformer.layers.";

/// What profilers such as thop leave in every module: how many operations and parameters it has.
const COUNTS: [&str; 2] = ["total_ops", "total_params"];

/// Names of parameters.
pub(super) struct Names {
    /// Outside of the blocks.
    outside: Vec<String>,
    /// After a block's number.
    in_block: Vec<String>,
}

impl Names {
    pub(super) fn of_any_size() -> Self {
        let one_block = VitConfig {
            layers: 1,
            ..Preset::Tiny.config()
        };
        let first = format!("{BLOCKS}0.");
        let (mut outside, mut in_block) = (Vec::new(), Vec::new());
        for parameter in one_block.parameters() {
            match parameter.name.strip_prefix(&first) {
                Some(name) => in_block.push(name.to_owned()),
                None => outside.push(parameter.name),
            }
        }
        Self { outside, in_block }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.outside.iter().any(|own| own == name) || self.is_in_block(name)
    }

    fn is_in_block(&self, name: &str) -> bool {
        let in_block = name.strip_prefix(BLOCKS);
        let numbered = in_block.and_then(|name| name.split_once('.'));
        numbered.is_some_and(|(number, name)| {
            number.parse::<u32>().is_ok() && self.in_block.iter().any(|own| own == name)
        })
    }

    /// What stands before the name of a parameter at the end of a key, and that name.
    pub(super) fn split<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let is_start = |at: &usize| *at == 0 || key[..*at].ends_with('.');
        let blocks = key.rmatch_indices(BLOCKS).map(|(at, _)| at);
        let mut in_blocks = blocks.filter(|&at| self.is_in_block(&key[at..]));
        let ends = |name: &String| key.strip_suffix(name.as_str()).map(str::len);
        let mut outside = self.outside.iter().filter_map(ends).filter(is_start);
        let at = in_blocks.find(is_start).or_else(|| outside.next())?;
        Some(key.split_at(at))
    }
}

/// Whether a tensor is a profiler's count in a module, which no network computes with.
pub(super) fn is_count(name: &str) -> bool {
    COUNTS.contains(&name.rsplit('.').next().unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_stands_before_a_name_and_the_name() {
        let names = Names::of_any_size();
        let split = |key: &'static str| names.split(key);
        assert_eq!(split("pos_embedding"), Some(("", "pos_embedding")));
        assert_eq!(
            split("a.b.mlp_head.1.bias"),
            Some(("a.b.", "mlp_head.1.bias"))
        );
        let block = "transformer.layers.31.0.fn.to_qkv.weight";
        assert_eq!(names.split(block), Some(("", block)));
        let wrapped = format!("module.{block}");
        assert_eq!(names.split(&wrapped), Some(("module.", block)));
        for key in [
            "my_pos_embedding",
            "transformer.layers.x.0.norm.weight",
            "mytransformer.layers.0.0.norm.weight",
            "head.weight",
        ] {
            assert_eq!(names.split(key), None, "{key}");
        }
    }

    #[test]
    fn counts_of_profilers_are_told_by_their_last_word() {
        assert!(is_count("total_ops") && is_count("transformer.layers.0.0.total_params"));
        assert!(!is_count("total") && !is_count("total_ops.weight"));
    }
}
