use super::*;
use crate::inject::{Change, Fault, Target};

const LAYOUT: Layout = Layout {
    tokens: 3,
    heads: 2,
    dim_head: 2,
};

fn site(name: &str, shape: &[usize]) -> Site {
    Site {
        kind: SiteKind::Edge,
        name: name.to_owned(),
        shape: shape.to_vec(),
    }
}

/// A name of the attention that has its heads as the shape says.
fn name_of(shape: &[usize]) -> &'static str {
    match shape {
        [_, 12] => "qkv",
        [2, _, _] => "transformer_layers_1_0_fn_softmax",
        [_, 2, _] => "mixed_by_token",
        _ => "mixed",
    }
}

/// The elements of every place, as the grammar of faults reads them.
fn elements(region: &str, shape: &[usize]) -> Vec<Vec<usize>> {
    let region: Region = region.parse().expect(region);
    let site = site(name_of(shape), shape);
    let of_place = |place| {
        let sample = [Positions::At(0)].into_iter();
        let fault = Fault {
            target: Target::Edge("x".to_owned()),
            index: sample.chain(region.at(&site, LAYOUT, place)).collect(),
            change: Change::Flip(0),
        };
        let fault: Fault = fault.to_string().parse().expect("the grammar has it");
        let shape = [&[1], shape].concat();
        fault.elements("x", &shape).expect("inside")
    };
    let places = region.places(&site, LAYOUT).expect("has such regions");
    (0..places).map(of_place).collect()
}

#[test]
fn rows_columns_and_blocks_of_a_small_tensor() {
    assert_eq!(elements("element", &[2, 2]), [[0], [1], [2], [3]]);
    assert_eq!(elements("row", &[2, 3]), [[0, 1, 2], [3, 4, 5]]);
    assert_eq!(elements("column", &[2, 3]), [[0, 3], [1, 4], [2, 5]]);
    assert_eq!(elements("column", &[2, 2, 1]), [[0, 1], [2, 3]]);
    let blocks = elements("block:2x2", &[3, 3]);
    assert_eq!(blocks, [vec![0, 1, 3, 4], vec![2, 5], vec![6, 7], vec![8]]);
}

#[test]
fn heads_lie_in_an_axis_of_their_own_or_side_by_side() {
    let scores = elements("head", &[2, 3, 3]);
    assert_eq!(scores, [(0..9).collect::<Vec<_>>(), (9..18).collect()]);
    // [tokens, heads, dim_head]
    assert_eq!(elements("head", &[1, 2, 2]), [[0, 1], [2, 3]]);
    // Queries, keys and values of one token, two heads of two each.
    let qkv = elements("head", &[1, 12]);
    assert_eq!(qkv, [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]);
}

#[test]
fn lengths_alone_are_no_heads() {
    let has = |name: &str, shape: &[usize]| {
        let places = Region::Head.places(&site(name, shape), LAYOUT);
        assert!(places.is_none_or(|places| places == LAYOUT.heads));
        places.is_some()
    };
    assert!(has("query", &[3, 4]) && has("transformer_layers_1_0_fn_query", &[3, 4]));
    assert!(has("key_by_head", &[2, 2, 3]) && has("products", &[2, 3, 3]));
    // As wide as all heads, or as many channels as heads.
    for name in ["submodel_input", "submodel_output", "residual", "pixels"] {
        assert!(!has(name, &[3, 4]) && !has(name, &[2, 3, 3]), "{name}");
    }
    for name in [
        "transformer_layers_0_1_fn_net_0",
        "my_qkv",
        "fn_qkv_product",
    ] {
        assert!(!has(name, &[3, 12]), "{name}");
    }
    assert!(!has("qkv", &[3, 4]) && !has("query", &[3, 12]) && !has("query", &[12]));
    assert!(!has("scores", &[3, 2, 3]) && !has("value_by_token", &[2, 3, 2]));
}

#[test]
fn a_token_is_a_row_of_every_head_and_of_scores_a_query() {
    assert_eq!(elements("token", &[3, 2])[1], [2, 3]);
    assert_eq!(elements("token", &[2, 3, 2])[2], [4, 5, 10, 11]);
    assert_eq!(elements("token", &[2, 3, 3])[0], [0, 1, 2, 9, 10, 11]);
    // Keys, transposed: [heads, dim_head, tokens]
    assert_eq!(elements("token", &[2, 2, 3])[1], [1, 4, 7, 10]);
}

#[test]
fn every_so_manyth_element_counts_through_all_axes() {
    assert_eq!(
        elements("every:4", &[2, 3]),
        [vec![0, 4], vec![1, 5], vec![2], vec![3]]
    );
    assert_eq!(elements("every:9", &[2, 2]).len(), 4);
}

#[test]
fn each_element_is_in_exactly_one_place_of_a_region() {
    let regions = [
        "element",
        "row",
        "column",
        "block:2x5",
        "head",
        "token",
        "every:7",
    ];
    for shape in [&[3, 4][..], &[2, 3, 3], &[2, 3, 2], &[3, 12]] {
        for region in regions {
            let mut all = elements(region, shape).concat();
            all.sort_unstable();
            let expected: Vec<usize> = (0..shape.iter().product()).collect();
            assert_eq!(all, expected, "{region} of {shape:?}");
        }
    }
}

#[test]
fn an_element_is_in_the_place_that_has_it() {
    let site = site("qkv", &[3, 12]);
    for region in [
        Region::Head,
        Region::Token,
        Region::Block([2, 5]),
        Region::Row,
    ] {
        for place in 0..region.places(&site, LAYOUT).expect("has such regions") {
            let rows = region.at(&site, LAYOUT, place);
            let [rows, columns] = [(&rows[0], 3), (&rows[1], 12)]
                .map(|(positions, length)| positions.of_axis(length).expect("inside"));
            for (&row, &column) in rows
                .iter()
                .flat_map(|row| columns.iter().map(move |c| (row, c)))
            {
                let index = [row, column].map(Positions::At);
                assert_eq!(
                    region.place_of(&site, LAYOUT, &index),
                    Some(place),
                    "{region}"
                );
            }
        }
    }
}

#[test]
fn a_site_without_such_a_region_and_a_text_that_is_none_are_refused() {
    let has = |region: Region, shape: &[usize]| region.places(&site("x", shape), LAYOUT).is_some();
    assert!(!has(Region::Column, &[7]) && !has(Region::Block([2, 2]), &[7]));
    assert!(!has(Region::Head, &[3, 5]) && !has(Region::Token, &[4, 5]));
    let weight = Site {
        kind: SiteKind::Weight,
        ..site("qkv", &[3, 12])
    };
    assert_eq!(Region::Token.places(&weight, LAYOUT), None);
    assert_eq!(Region::Head.places(&weight, LAYOUT), None);
    for text in [
        "",
        "rows",
        "block:2",
        "block:0x2",
        "every:0",
        "every",
        "head:1",
    ] {
        assert!(text.parse::<Region>().is_err(), "{text}");
    }
}

#[test]
fn places_within_a_head_or_a_token_are_those_that_are_in_it_alone() {
    let shapes: [&[usize]; 4] = [&[2, 3, 3], &[3, 2, 2], &[3, 12], &[3, 4]];
    for region in [
        "element",
        "row",
        "column",
        "block:1x2",
        "head",
        "token",
        "every:2",
    ] {
        let region: Region = region.parse().expect(region);
        for (shape, other) in shapes
            .iter()
            .flat_map(|own| [Region::Head, Region::Token].map(|other| (*own, other)))
        {
            let site = site(name_of(shape), shape);
            let (Some(places), Some(others)) =
                (region.places(&site, LAYOUT), other.places(&site, LAYOUT))
            else {
                continue;
            };
            let found = (0..places)
                .map(|place| other.place_of(&site, LAYOUT, &region.at(&site, LAYOUT, place)));
            let found: Vec<Option<usize>> = found.collect();
            for place in 0..others {
                let expected = found.iter().filter(|own| **own == Some(place)).count();
                let within = region.places_within(other, &site, LAYOUT, place);
                assert_eq!(within, expected, "{region} in {other} {place} of {shape:?}");
            }
        }
    }
}

#[test]
fn a_block_fits_what_is_as_large() {
    let fits = |region: &str, shape: &[usize]| {
        let region: Region = region.parse().expect(region);
        region.fits(&site("x", shape))
    };
    assert!(fits("block:3x4", &[3, 4]) && fits("block:3x4", &[1, 5, 4]));
    assert!(!fits("block:3x5", &[3, 4]) && !fits("block:4x4", &[3, 4]) && !fits("block:1x1", &[4]));
    assert!(fits("element", &[]) && fits("row", &[1]));
}
