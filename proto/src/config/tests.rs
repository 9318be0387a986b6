//! The presets, and numbers that are no network.

use super::*;

#[test]
fn presets_have_the_documented_parameter_counts() {
    let counts = Preset::ALL.map(|preset| preset.config().parameter_count());
    assert_eq!(
        counts,
        [5_519_434, 21_655_690, 85_778_698, 310_186, 808_842]
    );
}

#[test]
fn every_preset_is_valid_and_found_by_its_numbers_and_its_name() {
    for preset in Preset::ALL {
        assert_eq!(preset.config().validate(), Ok(()));
        assert_eq!(Preset::of(&preset.config()), Some(preset));
        assert_eq!(preset.name().parse(), Ok(preset));
    }
}

#[test]
fn one_head_as_wide_as_a_token_has_no_to_out() {
    let config = VitConfig {
        heads: 1,
        dim_head: 96,
        ..Preset::Nano.config()
    };
    assert!(
        config
            .parameters()
            .iter()
            .all(|parameter| !parameter.name.contains("to_out"))
    );
}

#[test]
fn impossible_numbers_are_refused() {
    let good = Preset::Nano.config();
    let broken = [
        VitConfig {
            dim: 0,
            ..good.clone()
        },
        VitConfig {
            layers: usize::MAX,
            ..good.clone()
        },
        VitConfig {
            patch_size: 5,
            ..good.clone()
        },
        VitConfig {
            dropout: f64::NAN,
            ..good.clone()
        },
        VitConfig {
            dropout: 1.0,
            ..good
        },
    ];
    for config in broken {
        assert!(config.validate().is_err(), "{config:?}");
    }
}
