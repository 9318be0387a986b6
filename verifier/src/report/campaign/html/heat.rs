//! A heat map: sites as rows, and columns that share a few headings.

use maud::{Markup, html};

/// What a cell shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    /// From 0 to 1; `None` where nothing is known.
    pub(super) heat: Option<f64>,
    /// In the cell itself, where it is wide enough.
    pub(super) text: String,
    /// For who points at it.
    pub(super) title: String,
    /// Whether it is known from few faults, which a corner shows.
    pub(super) is_few: bool,
}

/// A row with its name.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) cells: Vec<Cell>,
}

/// Columns and how they are headed.
pub(super) struct Columns {
    /// Headings above the names, and how many columns each spans; may be none.
    pub(super) groups: Vec<(String, usize)>,
    pub(super) names: Vec<String>,
}

/// With more columns than this, they are narrow: cells have no text, and every eighth a name.
const WIDE: usize = 40;
const NARROW_STEP: usize = 8;
/// With more than this, they are a few pixels wide, and no pointer can tell them apart.
const NARROW: usize = 100;

/// From this heat on a cell's text is light on dark, or dark on light.
const HOT: f64 = 0.6;

/// How much room a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Wide,
    Narrow,
    Dense,
}

impl Width {
    fn of(columns: usize) -> Self {
        match columns {
            columns if columns <= WIDE => Self::Wide,
            columns if columns <= NARROW => Self::Narrow,
            _ => Self::Dense,
        }
    }

    /// In the style sheet.
    fn class(self) -> &'static str {
        match self {
            Self::Wide => "",
            Self::Narrow => "narrow",
            Self::Dense => "narrow dense",
        }
    }
}

/// The map in a colour that the style sheet knows.
pub(super) fn map(colour: &str, columns: &Columns, rows: &[Row]) -> Markup {
    let width = Width::of(columns.names.len());
    html! {
        div.wide { table class={ "heat grid " (width.class()) " " (colour) } {
            thead {
                @if !columns.groups.is_empty() {
                    tr {
                        th {}
                        @for (name, span) in &columns.groups { th colspan=(span) { (name) } }
                    }
                }
                tr { th {} @if width == Width::Wide { (all(columns)) } @else { (few(columns)) } }
            }
            tbody {
                @for row in rows {
                    tr {
                        th { (row.name) }
                        @for cell in &row.cells { (table_cell(cell, width)) }
                    }
                }
            }
        } }
    }
}

fn all(columns: &Columns) -> Markup {
    html! { @for name in &columns.names { th { (name) } } }
}

fn few(columns: &Columns) -> Markup {
    html! {
        @for names in columns.names.chunks(NARROW_STEP) {
            th.first colspan=(names.len()) { (names[0]) }
        }
    }
}

fn table_cell(cell: &Cell, width: Width) -> Markup {
    let title = (width != Width::Dense).then_some(&cell.title);
    let Some(heat) = cell.heat else {
        return html! { td.unknown title=[title] {} };
    };
    let style = (heat > 0.0).then(|| format!("--heat:{:.0}%", 100.0 * heat));
    let text = (width == Width::Wide).then_some(&cell.text);
    html! {
        td class=[cell_class(heat, cell.is_few)] style=[style] title=[title] {
            @if let Some(text) = text { (text) }
        }
    }
}

fn cell_class(heat: f64, is_few: bool) -> Option<&'static str> {
    match (heat >= HOT, is_few) {
        (true, true) => Some("hot few"),
        (false, true) => Some("few"),
        (_, false) => hot(heat),
    }
}

fn hot(heat: f64) -> Option<&'static str> {
    (heat >= HOT).then_some("hot")
}

/// Colours with what they stand for.
pub(super) fn legend(colour: &str, steps: &[(f64, String)]) -> Markup {
    html! {
        span class={ "legend " (colour) } {
            @for (heat, name) in steps {
                @let style = format!("--heat:{:.0}%", 100.0 * heat);
                span class=[hot(*heat)] style=(style) { (name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: usize) -> (Columns, Vec<Row>) {
        let cell = |at: usize| Cell {
            heat: at.checked_sub(1).map(|heat| heat as f64 / 10.0),
            text: "7".to_owned(),
            title: format!("<{at}>"),
            is_few: at == 2,
        };
        let row = Row {
            name: "edge:a&b".to_owned(),
            cells: (0..cells).map(cell).collect(),
        };
        let columns = Columns {
            groups: vec![],
            names: (0..cells).map(|at| at.to_string()).collect(),
        };
        (columns, vec![row])
    }

    #[test]
    fn what_is_not_known_is_told_from_nothing_and_texts_are_no_markup() {
        let (columns, rows) = rows(8);
        let page = map("bar", &columns, &rows).into_string();
        let cells = [
            "<td class=\"unknown\" title=\"&lt;0&gt;\"></td>",
            "<td title=\"&lt;1&gt;\">7</td>",
            "<td class=\"few\" style=\"--heat:10%\" title=\"&lt;2&gt;\">7</td>",
            "<td class=\"hot\" style=\"--heat:60%\" title=\"&lt;7&gt;\">7</td>",
        ];
        for cell in cells {
            assert!(page.contains(cell), "{cell} is not in\n{page}");
        }
        assert!(page.contains("edge:a&amp;b"), "{page}");
    }

    #[test]
    fn many_columns_have_few_names_and_no_texts() {
        let (columns, rows) = rows(65);
        let page = map("bar", &columns, &rows).into_string();
        assert_eq!(page.matches("<th class=\"first\"").count(), 9, "{page}");
        assert!(
            page.contains("colspan=\"1\">64</th>") && !page.contains(">7<"),
            "{page}"
        );
        let (columns, rows) = self::rows(197);
        let page = map("bar", &columns, &rows).into_string();
        assert!(!page.contains("title="), "no pointer finds it\n{page}");
        assert!(page.contains("--heat:60%"), "{page}");
    }
}
