//! Sizes from shapes, and shapes that tell none.

use super::*;

fn shapes(config: &VitConfig) -> Shapes {
    let parameters = config.parameters().into_iter();
    parameters
        .map(|parameter| (parameter.name, parameter.shape))
        .collect()
}

fn derived(config: &VitConfig, heads: Option<usize>, pool: Option<Pool>) -> VitConfig {
    let told = Told { heads, pool };
    VitConfig::of_shapes(&shapes(config), told).expect("a network")
}

/// Patch 16 at 224 pixels, and patch 4 at CIFAR-10's own 32, of other sizes than any preset.
fn networks() -> [VitConfig; 2] {
    let wide = VitConfig {
        dim: 768,
        mlp_dim: 768,
        heads: 12,
        ..Preset::Tiny.config()
    };
    let small = VitConfig {
        image_size: 32,
        patch_size: 4,
        dim: 512,
        layers: 6,
        heads: 8,
        mlp_dim: 1024,
        ..Preset::Tiny.config()
    };
    [wide, small]
}

#[test]
fn sizes_come_back_from_the_shapes() {
    for config in networks() {
        assert_eq!(derived(&config, None, None), config);
        let mean = VitConfig {
            pool: Pool::Mean,
            heads: 4,
            dim_head: config.inner_dim() / 4,
            ..config.clone()
        };
        assert_eq!(derived(&config, Some(4), Some(Pool::Mean)), mean);
    }
    for preset in [Preset::Tiny, Preset::Small, Preset::Base] {
        let config = preset.config();
        assert_eq!(derived(&config, None, None), config);
    }
    // With the preset's dropout too.
    let nano = Preset::Nano.config();
    assert_eq!(derived(&nano, Some(3), Some(Pool::Mean)), nano);
    let no_to_out = VitConfig {
        heads: 1,
        dim_head: 40,
        dim: 40,
        ..networks()[1].clone()
    };
    assert_eq!(derived(&no_to_out, None, None), no_to_out);
}

#[test]
fn heads_that_no_shape_tells_are_asked_for() {
    let error = |config: &VitConfig, heads| {
        let told = Told { heads, pool: None };
        VitConfig::of_shapes(&shapes(config), told).expect_err("no heads")
    };
    let (nano, micro) = (Preset::Nano.config(), Preset::Micro.config());
    let (inner, preset) = (96, Some(Preset::Nano));
    assert_eq!(error(&nano, None), ShapesError::Heads { inner, preset });
    let (inner, preset) = (128, Preset::Micro);
    assert_eq!(
        error(&micro, None),
        ShapesError::Ambiguous { inner, preset }
    );
    for heads in [0, 5, 256] {
        assert_eq!(
            error(&micro, Some(heads)),
            ShapesError::WrongHeads { heads, inner }
        );
    }
    let narrow = VitConfig {
        dim: 64,
        heads: 2,
        dim_head: 32,
        ..networks()[1].clone()
    };
    // One head of 64 would have no `to_out`.
    let (inner, preset) = (64, None);
    assert_eq!(error(&narrow, None), ShapesError::Heads { inner, preset });
    assert_eq!(derived(&narrow, Some(2), None), narrow);
}

#[test]
fn other_networks_are_refused_by_name() {
    let [config, _] = networks();
    for (name, network) in [
        ("transformer.norm.weight", "a newer layout of vit-pytorch"),
        (
            "to_patch_embedding.2.weight",
            "norms in the patch embedding",
        ),
        ("transformer.layers.0.0.to_qkv.weight", "a newer layout"),
        ("blocks.0.attn.qkv.weight", "timm"),
    ] {
        let mut shapes = shapes(&config);
        shapes.insert(name.to_owned(), vec![768]);
        let error = VitConfig::of_shapes(&shapes, Told::default());
        let message = error.expect_err("another network").to_string();
        assert!(message.contains(network), "{message}");
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn shapes_of_no_network_name_the_tensor() {
    let [config, _] = networks();
    let refused = |name: &str, shape: Option<&[usize]>, expected: &str| {
        let mut shapes = shapes(&config);
        shapes.remove(name);
        if let Some(shape) = shape {
            shapes.insert(name.to_owned(), shape.to_vec());
        }
        let error = VitConfig::of_shapes(&shapes, Told::default());
        let message = error.expect_err("no network").to_string();
        assert!(
            message.contains(name) && message.contains(expected),
            "{message}"
        );
    };
    let qkv = "transformer.layers.0.0.fn.to_qkv.weight";
    refused(
        qkv,
        None,
        "is missing, expected with shape [3·heads·dim_head, dim]",
    );
    refused("pos_embedding", Some(&[1, 196, 768]), "found [1, 196, 768]");
    refused("pos_embedding", Some(&[1, 1, 768]), "found [1, 1, 768]");
    refused("pos_embedding", Some(&[]), "found []");
    refused(
        "to_patch_embedding.1.weight",
        Some(&[768, 770]),
        "found [768, 770]",
    );
    refused("mlp_head.1.weight", Some(&[10]), "found [10]");
    let mut zero = shapes(&config);
    zero.insert("mlp_head.1.weight".to_owned(), vec![0, 768]);
    zero.insert("mlp_head.1.bias".to_owned(), vec![0]);
    let error = VitConfig::of_shapes(&zero, Told::default());
    assert!(matches!(error, Err(ShapesError::Config(_))));
}

#[test]
fn a_matrix_that_lies_transposed_gives_no_sizes() {
    let expect = |name: &str, shape: &[usize], expected: &str| {
        let mut shapes = shapes(&networks()[1]);
        shapes.insert(name.to_owned(), shape.to_vec());
        let found = VitConfig::of_shapes(&shapes, Told::default());
        let message = found.expect_err("no network").to_string();
        assert_eq!(
            message,
            format!("tensor `{name}` of shape {shape:?} does not fit {expected}")
        );
    };
    let layer = "transformer.layers.0";
    expect(
        "mlp_head.1.weight",
        &[512, 10],
        "`mlp_head.1.bias` of 10: it lies transposed",
    );
    expect(
        "to_patch_embedding.1.weight",
        &[48, 512],
        "`to_patch_embedding.1.bias` of 512: it lies transposed",
    );
    expect(
        &format!("{layer}.1.fn.net.0.weight"),
        &[512, 1024],
        "`transformer.layers.0.1.fn.net.0.bias` of 1024: it lies transposed",
    );
    expect(
        &format!("{layer}.0.fn.to_qkv.weight"),
        &[512, 1536],
        "`transformer.layers.0.0.norm.weight` of 512: it lies transposed",
    );
    expect("mlp_head.1.weight", &[8, 512], "`mlp_head.1.bias` of 10");
}
