//! A part with faults in its edges: cut there, and its pieces loaded where the part itself runs.

use anyhow::Result;
use proto::graph::Graph;
use verifier::engine::Engine;
use verifier::engine::onnxruntime::Session;
use verifier::inject::Fault;
use verifier::inject::cut::{CutEngine, check_edge_faults, faulty_edges};
use verifier::samples::Recording;

use super::prepare::Prepared;

/// The same cuts without and with faults; `None` where no fault is in an edge.
pub(super) fn load_cut(
    prepared: &Prepared,
    graph: &Graph,
    faults: &[Fault],
) -> Result<Option<[Box<dyn Engine>; 2]>> {
    check_edge_faults(graph, faults, &prepared.opened.samples)?;
    let edges = faulty_edges(graph, faults);
    if edges.is_empty() {
        return Ok(None);
    }
    // Of outputs without a golden nothing is asked.
    let compared = prepared.opened.recordings.goldens.iter();
    let compared: Vec<&str> = compared.map(Recording::name).collect();
    let graph = &graph.cut(&graph.input_names(), &compared)?;
    let mut load = |piece: &Graph| -> Result<Box<dyn Engine>> {
        let Prepared {
            library,
            options,
            batch_size,
            ..
        } = prepared;
        let session = Session::of_graph(library, piece, options, *batch_size)?;
        Ok(Box::new(session))
    };
    let fault_free = CutEngine::load(graph, &edges, &[], &mut load)?;
    let corrupted = CutEngine::load(graph, &edges, faults, &mut load)?;
    Ok(Some([fault_free, corrupted]))
}
