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
    /// All elements of one attention head, between its projections.
    Head,
    /// All elements of one token; of scores and softmax, of one query.
    Token,
    /// Every n-th element in C order: what one of n threads writes that take elements in turn, such
    /// as the 32 of a warp.
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

    /// Which place of these regions an element is in, given by axis; `None` of several elements,
    /// and where the site has no such region.
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

    /// How many of its places lie in one place alone of other regions: those of which
    /// [`Self::place_of`] of `other` is that place.
    pub fn places_within(self, other: Self, site: &Site, layout: Layout, place: usize) -> usize {
        let parts = |region: Self| match region {
            Self::Every(_) => None,
            _ => region.parts(site, layout),
        };
        let (Some(own), Some(others)) = (parts(self), parts(other)) else {
            return 0;
        };
        let choices: Vec<usize> = others.iter().map(|part| part.choices()).collect();
        let chosen = index_in(&choices, place);
        let pairs = own.iter().zip(&others).zip(chosen);
        pairs
            .map(|((own, other), choice)| own.choices_within(*other, choice))
            .product()
    }

    /// Whether the site is as large as a region: blocks alone can be larger.
    pub fn fits(self, site: &Site) -> bool {
        let Self::Block([rows, columns]) = self else {
            return true;
        };
        matches!(site.shape[..], [.., height, width] if height >= rows && width >= columns)
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

/// Where the tensors of an attention have their heads, by the names that the exporter gives them,
/// alone or behind `…_fn_`. Lengths alone do not tell: the network's width is a multiple of the
/// heads' in most of its tensors.
#[rustfmt::skip]
const HEADS: [(&[&str], Heads); 5] = [
    (&["qkv"], Heads::SideBySide(3)),
    (&["query", "key", "value", "mixed"], Heads::SideBySide(1)),
    (&["query_by_token", "key_by_token", "value_by_token", "mixed_by_token"], Heads::Axis(1)),
    (&["query_by_head", "key_by_head", "value_by_head", "mixed_by_head"], Heads::Axis(0)),
    (&["products", "scores", "softmax"], Heads::Axis(0)),
];

/// How a tensor has its heads.
#[derive(Debug, Clone, Copy)]
enum Heads {
    /// In an axis of their own.
    Axis(usize),
    /// Side by side in the last of two axes, so often.
    SideBySide(usize),
}

/// The axis of heads, or the last one where heads lie side by side in it.
fn head_axis(site: &Site, layout: Layout) -> Option<(usize, Part)> {
    let name = match site.name.rsplit_once("_fn_") {
        Some((_, name)) => name,
        None => &site.name,
    };
    let (_, heads) = HEADS.iter().find(|(names, _)| names.contains(&name))?;
    match *heads {
        Heads::Axis(axis) => {
            let is_there = site.shape.len() == 3 && site.shape[axis] == layout.heads;
            is_there.then_some((axis, Part::One(layout.heads)))
        }
        Heads::SideBySide(times) => {
            let width = times * layout.heads * layout.dim_head;
            let is_there = site.shape.len() == 2 && site.shape[1] == width;
            is_there.then_some((1, Part::Head { layout, times }))
        }
    }
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

    /// How many choices lie in one choice alone of another part of the axis.
    fn choices_within(self, other: Self, choice: usize) -> usize {
        let is_within = |own: &usize| match (other, self.at(*own)) {
            (Self::All, _) => true,
            (other, Positions::At(at)) => other.choice_of(at) == choice,
            _ => false,
        };
        (0..self.choices()).filter(is_within).count()
    }

    fn at(self, choice: usize) -> Positions {
        match self {
            Self::One(_) => Positions::At(choice),
            Self::All => Positions::All,
            Self::Tile { of, length } => {
                let start = choice * of;
                Positions::Ranges(std::iter::once(start..(start + of).min(length)).collect())
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
mod tests;
