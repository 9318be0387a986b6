//! Graphs that are written for other tools.

use crate::graph::{Axis, Deployment, Graph, GraphBuilder};

/// A LayerNorm of `x` `[batch, 3, 8]`, called `normed`.
fn layer_norm(deployment: Deployment) -> Graph {
    let mut graph = GraphBuilder::with_deployment("test", deployment);
    let x = graph.input("x", &[3, 8]);
    let [weight, bias] = ["weight", "bias"].map(|name| graph.constant(name, &[8], vec![0; 32]));
    let normed = graph.layer_norm("normed", &x, &weight, &bias, 1e-5);
    graph.output(&normed);
    let mut bytes = Vec::new();
    crate::graph::write::write(&graph.finish(), &mut bytes).expect("memory takes all");
    Graph::decode(&bytes).expect("a model")
}

fn versions(graph: &Graph) -> (i64, i64) {
    (
        graph.model.ir_version(),
        graph.model.opset_import[0].version(),
    )
}

#[test]
fn before_opset_17_layer_norm_is_spelt_out_and_keeps_its_name() {
    let operators = |graph: &Graph| -> Vec<String> {
        let nodes = graph.nodes().iter();
        nodes.map(|node| node.op_type().to_owned()).collect()
    };
    let graph = layer_norm(Deployment::default());
    assert_eq!(versions(&graph), (8, 17));
    assert_eq!(operators(&graph), ["LayerNormalization"]);

    let graph = layer_norm(Deployment {
        opset: 13,
        fixed_batch: None,
    });
    assert_eq!(versions(&graph), (7, 13));
    assert_eq!(
        operators(&graph),
        [
            "ReduceMean",
            "Sub",
            "Mul",
            "ReduceMean",
            "Add",
            "Sqrt",
            "Div",
            "Mul",
            "Add"
        ]
    );
    graph.check_standard().expect("standard operators");
    assert_eq!(graph.output_names(), ["normed"]);
    let batch = || Axis::Named("batch".to_owned());
    let [fixed_3, fixed_8, one] = [3, 8, 1].map(Axis::Fixed);
    let mean = graph.shape("normed_mean");
    assert_eq!(mean, Some(vec![batch(), fixed_3.clone(), one]));
    assert_eq!(
        graph.shape("normed_scaled"),
        Some(vec![batch(), fixed_3, fixed_8])
    );
}

#[test]
fn a_fixed_batch_is_the_first_axis_of_every_tensor() {
    let graph = layer_norm(Deployment {
        opset: 13,
        fixed_batch: Some(4),
    });
    let written = graph.nodes().iter().flat_map(|node| &node.output);
    for name in written.map(String::as_str).chain(["x", "normed"]) {
        let shape = graph.shape(name).expect("declared");
        assert_eq!(shape[0], Axis::Fixed(4), "{name}");
    }
}
