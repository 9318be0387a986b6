//! Where the elements outside lie in a sample.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::compare::error_map::ErrorMap;

/// Shades, from few of a cell's elements outside to all of them.
const SHADES: usize = 4;

/// The tensor as a rectangle, with a mark for each cell that holds an element outside: the
/// stronger, the more.
pub(super) fn picture(map: &ErrorMap) -> Markup {
    let [rows, columns] = map.cells;
    // As wide as its frame; flat tensors are not drawn as thin as they are, nor tall ones as tall.
    let ratio = (columns as f64 / rows as f64).clamp(1.5, 16.0);
    let shape = format!("aspect-ratio:{ratio:.2}");
    let view = format!("0 0 {columns} {rows}");
    let label = format!("{} by {} elements", map.elements[0], map.elements[1]);
    let paths = paths(map);
    let shades = paths
        .iter()
        .enumerate()
        .filter(|(_, path)| !path.is_empty());
    html! {
        svg viewBox=(view) preserveAspectRatio="none" style=(shape) role="img" aria-label=(label) {
            title { (label) }
            @for (shade, path) in shades {
                path d=(path) fill="var(--mark)" fill-opacity=(opacity(shade))
                    shape-rendering="crispEdges" {}
            }
        }
    }
}

fn opacity(shade: usize) -> String {
    format!("{:.2}", 0.4 + 0.6 * (shade + 1) as f64 / SHADES as f64)
}

/// For each shade the outline of its cells, in cells; those next to each other in a row are one,
/// which keeps the page small.
fn paths(map: &ErrorMap) -> [String; SHADES] {
    let columns = map.cells[1];
    let size = (map.side[0] * map.side[1]).max(1);
    let shade = |count: usize| (count > 0).then(|| (count * SHADES).div_ceil(size).min(SHADES) - 1);
    let mut paths = [const { String::new() }; SHADES];
    for (row, counts) in map.outside.chunks(columns.max(1)).enumerate() {
        let mut column = 0;
        for run in counts.chunk_by(|&a, &b| shade(a) == shade(b)) {
            if let Some(shade) = shade(run[0]) {
                let _ = write!(paths[shade], "M{column} {row}h{0}v1h-{0}z", run.len());
            }
            column += run.len();
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_next_to_each_other_are_one_and_rows_are_apart() {
        let map = ErrorMap {
            elements: [2, 16],
            side: [1, 4],
            cells: [2, 4],
            outside: vec![0, 1, 1, 4, 1, 0, 0, 0],
        };
        assert_eq!(
            paths(&map),
            ["M1 0h2v1h-2zM0 1h1v1h-1z", "", "", "M3 0h1v1h-1z"]
        );
    }
}
