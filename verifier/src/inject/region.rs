//! Regions of a tensor that one fault changes together: where in a tensor a region can lie.

use std::fmt;
use std::str::FromStr;

use proto::config::VitConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::index_in;
use super::positions::Positions;
use super::site::{Site, SiteKind};

/// The shape of what one fault changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Region {
    /// One element.
    Element,
    /// All elements along the last axis.
    Row,
    /// All elements along the last axis but one.
    Column,
    /// A tile of so many rows and columns; tiles begin at multiples of these, those at the edge
    /// may be smaller.
    Block([usize; 2]),
    /// All elements of one attention head.
    Head,
    /// All elements of one token; of scores and softmax, of one query.
    Token,
    /// Every so manyth element in C order, as one lane of so many would write.
    Every(usize),
}

/// What the axes of a network's tensors stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub tokens: usize,
    pub heads: usize,
    pub dim_head: usize,
}

/// What a region takes of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// One position.
    One(usize),
    All,
    /// A tile of so many of a length.
    Tile {
        of: usize,
        length: usize,
    },
    /// The columns of one head, so often side by side, as in queries, keys and values.
    Head {
        layout: Layout,
        times: usize,
    },
}

impl Layout {
    /// Of a network.
    pub fn of(config: &VitConfig) -> Self {
        Self {
            tokens: config.tokens(),
            heads: config.heads,
            dim_head: config.dim_head,
        }
    }
}

impl Region {
    /// In how many places of the site it can lie; `None` where the site has no such region.
    pub fn places(self, site: &Site, layout: Layout) -> Option<usize> {
        if let Self::Every(step) = self {
            return Some(step.min(site.elements()));
        }
        let parts = self.parts(site, layout)?;
        Some(parts.iter().map(|part| part.choices()).product())
    }

    /// The elements of one of the places, by axis without the sample's.
    ///
    /// # Panics
    /// If the site has no such region.
    pub fn at(self, site: &Site, layout: Layout, place: usize) -> Vec<Positions> {
        if let Self::Every(step) = self {
            return vec![Positions::Every { first: place, step }];
        }
        let parts = self.parts(site, layout).expect("the site has such regions");
        let choices: Vec<usize> = parts.iter().map(|part| part.choices()).collect();
        let chosen = index_in(&choices, place).into_iter();
        chosen.zip(parts).map(|(at, part)| part.at(at)).collect()
    }

    /// Which place of these regions an element is in, given by axis; `None` of several elements, and
    /// where the site has no such region.
    pub fn place_of(self, site: &Site, layout: Layout, index: &[Positions]) -> Option<usize> {
        let parts = self.parts(site, layout)?;
        let mut place = 0;
        for (part, positions) in parts.iter().zip(index) {
            let choice = match (part, positions) {
                (Part::All, _) => 0,
                (part, Positions::At(at)) => part.choice_of(*at),
                _ => return None,
            };
            place = place * part.choices() + choice;
        }
        (parts.len() == index.len()).then_some(place)
    }

    /// What it takes of each axis.
    fn parts(self, site: &Site, layout: Layout) -> Option<Vec<Part>> {
        let one = |axis: usize| Part::One(site.shape[axis]);
        let axes = site.shape.len();
        let mut parts: Vec<Part> = (0..axes).map(one).collect();
        let is_activation = site.kind != SiteKind::Weight;
        match self {
            Self::Element | Self::Every(_) => {}
            Self::Row => *parts.last_mut()? = Part::All,
            Self::Column => parts[axes.checked_sub(2)?] = Part::All,
            Self::Block(tile) => {
                let first = axes.checked_sub(2)?;
                for (axis, of) in (first..).zip(tile) {
                    let length = site.shape[axis];
                    parts[axis] = Part::Tile { of, length };
                }
            }
            Self::Head => {
                let (axis, part) = head_axis(site, layout).filter(|_| is_activation)?;
                parts = vec![Part::All; axes];
                parts[axis] = part;
            }
            Self::Token => {
                let is_tokens = |&axis: &usize| site.shape[axis] == layout.tokens;
                // Of scores, the queries.
                let order = (0..axes.saturating_sub(1)).rev().chain(axes.checked_sub(1));
                let axis = order
                    .filter(|_| is_activation)
                    .find(|axis| is_tokens(axis))?;
                parts = vec![Part::All; axes];
                parts[axis] = one(axis);
            }
        }
        Some(parts)
    }
}

/// The axis of heads, or the last one where heads lie side by side in it.
fn head_axis(site: &Site, layout: Layout) -> Option<(usize, Part)> {
    let axes = site.shape.len();
    if axes >= 3 {
        let axis = site
            .shape
            .iter()
            .position(|&length| length == layout.heads)?;
        return Some((axis, Part::One(layout.heads)));
    }
    let width = *site.shape.last()?;
    let times = width / (layout.heads * layout.dim_head);
    let is_whole = times > 0 && width == times * layout.heads * layout.dim_head;
    (axes == 2 && is_whole).then_some((axes - 1, Part::Head { layout, times }))
}

impl Part {
    fn choices(self) -> usize {
        match self {
            Self::One(length) => length,
            Self::All => 1,
            Self::Tile { of, length } => length.div_ceil(of),
            Self::Head { layout, .. } => layout.heads,
        }
    }

    /// The choice that has a position.
    fn choice_of(self, position: usize) -> usize {
        match self {
            Self::One(_) => position,
            Self::All => 0,
            Self::Tile { of, .. } => position / of,
            Self::Head { layout, .. } => position / layout.dim_head % layout.heads,
        }
    }

    fn at(self, choice: usize) -> Positions {
        match self {
            Self::One(_) => Positions::At(choice),
            Self::All => Positions::All,
            Self::Tile { of, length } => {
                let start = choice * of;
                Positions::Ranges(vec![start..(start + of).min(length)])
            }
            Self::Head { layout, times } => {
                let Layout {
                    heads, dim_head, ..
                } = layout;
                let start = |time| (time * heads + choice) * dim_head;
                let of_time = |time| start(time)..start(time) + dim_head;
                Positions::Ranges((0..times).map(of_time).collect())
            }
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element => f.write_str("element"),
            Self::Row => f.write_str("row"),
            Self::Column => f.write_str("column"),
            Self::Block([rows, columns]) => write!(f, "block:{rows}x{columns}"),
            Self::Head => f.write_str("head"),
            Self::Token => f.write_str("token"),
            Self::Every(step) => write!(f, "every:{step}"),
        }
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let length = |text: &str| text.parse().ok().filter(|&length: &usize| length > 0);
        let refused = || {
            "expected element, row, column, block:ROWSxCOLUMNS, head, token or every:N".to_owned()
        };
        let region = match text.split_once(':') {
            None => match text {
                "element" => Some(Self::Element),
                "row" => Some(Self::Row),
                "column" => Some(Self::Column),
                "head" => Some(Self::Head),
                "token" => Some(Self::Token),
                _ => None,
            },
            Some(("every", step)) => length(step).map(Self::Every),
            Some(("block", tile)) => {
                let sides = tile.split_once('x');
                let sides =
                    sides.and_then(|(rows, columns)| Some([length(rows)?, length(columns)?]));
                sides.map(Self::Block)
            }
            Some(_) => None,
        };
        region.ok_or_else(refused)
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.to_string()
    }
}

impl TryFrom<String> for Region {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::{Change, Fault, Target};

    const LAYOUT: Layout = Layout {
        tokens: 3,
        heads: 2,
        dim_head: 2,
    };

    fn site(shape: &[usize]) -> Site {
        Site {
            kind: SiteKind::Edge,
            name: "x".to_owned(),
            shape: shape.to_vec(),
        }
    }

    /// The elements of every place, as the grammar of faults reads them.
    fn elements(region: &str, shape: &[usize]) -> Vec<Vec<usize>> {
        let region: Region = region.parse().expect(region);
        let site = site(shape);
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
        let site = site(&[3, 12]);
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
        let has = |region: Region, shape: &[usize]| region.places(&site(shape), LAYOUT).is_some();
        assert!(!has(Region::Column, &[7]) && !has(Region::Block([2, 2]), &[7]));
        assert!(!has(Region::Head, &[3, 5]) && !has(Region::Token, &[4, 5]));
        let weight = Site {
            kind: SiteKind::Weight,
            ..site(&[3, 4])
        };
        assert_eq!(Region::Token.places(&weight, LAYOUT), None);
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
}
