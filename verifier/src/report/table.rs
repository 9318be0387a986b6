//! Tables that read as well on a terminal as in Markdown.

/// A Markdown table with its columns aligned.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|text| cell(text)).collect())
        .collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| width(header[column], column, &rows))
        .collect();
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    let mut text = line(&header, &widths);
    let rules = widths
        .iter()
        .map(|width| format!("{}|", "-".repeat(width + 2)));
    text.push_str(&format!("|{}\n", rules.collect::<String>()));
    for row in &rows {
        text.push_str(&line(row, &widths));
    }
    text
}

fn width(name: &str, column: usize, rows: &[Vec<String>]) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(column));
    let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(1);
    widest.max(name.chars().count()).max(1)
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths);
    let padded = padded.map(|(cell, &width)| format!(" {cell:<width$} |"));
    format!("|{}\n", padded.collect::<String>())
}

/// A text as it may stand in a table.
pub fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

/// A text without line breaks.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Samples from the first one to the one before the end.
pub fn range_text([start, end]: [usize; 2]) -> String {
    format!("{start} to {}", end.saturating_sub(1))
}
