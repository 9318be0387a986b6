//! Logs of libLogHelper: the table of their runs, and rates.

use console::grouped;

use super::words::cells;
use crate::report::table::table;
use crate::watch::log_helper::Row;
use crate::watch::rates::Rate;

/// Logs of libLogHelper: the table that its parsers make, and the rates with their limits.
pub fn rows_of_others(rows: &[Row]) -> String {
    let header = [
        "begun",
        "benchmark",
        "host",
        "SDC",
        "DUE",
        "abort",
        "system",
        "end",
        "errors",
        "exposure",
    ];
    let cells_of_row = |row: &Row| {
        let counts = [
            row.sdc,
            row.application_due,
            row.abort,
            row.system_due,
            row.end,
            row.errors,
        ];
        let mut cells = vec![row.begun.clone(), row.benchmark.clone(), row.host.clone()];
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(format!("{:.1} s", row.seconds));
        cells
    };
    let mut text = table(&header, rows.iter().map(cells_of_row).collect());
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    let naive: f64 = rows.iter().map(|row| row.seconds_at_last_sdc).sum();
    let sum = |count: fn(&Row) -> u64| rows.iter().map(count).sum::<u64>();
    let dues = sum(|row| row.application_due) + sum(|row| row.system_due);
    let rates = [("SDC", sum(|row| row.sdc)), ("DUE", dues)].map(|(name, events)| {
        let mut row = vec![name.to_owned(), grouped(events as usize)];
        row.extend(cells(Rate::new(events, seconds / 3600.0)));
        row
    });
    text += "\n";
    let header = ["event", "count", "per hour exposed", "95 % limits"];
    text += &table(&header, rates.to_vec());
    text += &format!(
        "note: exposure {seconds:.1} s; from lines with an SDC alone it would be {naive:.1} s\n"
    );
    text
}
