//! What runs of single samples gave without a fault: computed once for each site and sample.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::ArrayD;

/// A sample without a fault at a site, in a run of its own, `[1, …]` each.
#[derive(Debug)]
pub(super) struct FaultFree {
    /// The part's inputs, where a run with a fault takes them.
    pub(super) inputs: Vec<ArrayD<f32>>,
    /// What passes the cut, the edge first.
    pub(super) crossing: Vec<ArrayD<f32>>,
    pub(super) outputs: Vec<ArrayD<f32>>,
}

/// The runs that are kept; runners share them.
pub struct RunsAlone {
    kept: Mutex<Kept>,
    most_bytes: usize,
}

#[derive(Default)]
struct Kept {
    /// By site and sample.
    runs: HashMap<(usize, usize), Arc<FaultFree>>,
    bytes: usize,
}

impl RunsAlone {
    /// Keeps so many bytes; what is beyond is computed again.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            kept: Mutex::default(),
            most_bytes,
        }
    }

    pub(super) fn get(&self, site: usize, sample: usize) -> Option<Arc<FaultFree>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.runs.get(&(site, sample)).cloned()
    }

    /// Keeps a run if there is room for it.
    pub(super) fn keep(&self, site: usize, sample: usize, run: FaultFree) -> Arc<FaultFree> {
        let bytes = run.bytes();
        let run = Arc::new(run);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Another runner may have come to the same meanwhile.
        if kept.bytes + bytes <= self.most_bytes && !kept.runs.contains_key(&(site, sample)) {
            kept.runs.insert((site, sample), run.clone());
            kept.bytes += bytes;
        }
        run
    }
}

impl FaultFree {
    fn bytes(&self) -> usize {
        let tensors = [&self.inputs, &self.crossing, &self.outputs];
        let elements = tensors.into_iter().flatten().map(ArrayD::len);
        size_of::<f32>() * elements.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_kept_until_the_bytes_are_used_up() {
        let alone = RunsAlone::new(2 * 3 * size_of::<f32>());
        let run = |value| FaultFree {
            inputs: vec![],
            crossing: vec![],
            outputs: vec![ArrayD::from_elem(vec![1, 3], value)],
        };
        for (sample, value) in [(7, 1.0), (5, 2.0), (7, 3.0), (9, 4.0)] {
            alone.keep(0, sample, run(value));
        }
        let kept = |sample| alone.get(0, sample).map(|run| run.outputs[0][[0, 0]]);
        assert_eq!([7, 5, 9].map(kept), [Some(1.0), Some(2.0), None]);
        assert!(alone.get(1, 7).is_none());
    }
}
