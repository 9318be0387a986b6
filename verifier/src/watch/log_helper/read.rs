//! Reads libLogHelper's logs, old and new ones, as the device or a server wrote them.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use proto::regular_file;
use schemars::JsonSchema;
use serde::Serialize;

/// No line is longer.
const LONGEST_LINE: u64 = 1 << 16;
/// A sum of seconds that grows by more than so many times what its iterations took, and by more
/// than a minute, is no sum.
const TOO_FAST: f64 = 100.0;
const MINUTE: f64 = 60.0;

/// What a log comes to: a row of the table that parsers make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Row {
    pub file: String,
    /// Of the file's name: `2026-11-26 12:30:00`, benchmark, ECC, host.
    pub begun: String,
    pub benchmark: String,
    pub has_ecc: Option<bool>,
    pub host: String,
    pub header: String,
    pub sdc: u64,
    pub abort: u64,
    /// Ends in order, as the device or a server says it.
    pub end: u64,
    /// It neither ended nor gave up: a DUE of the program, or as the server says it.
    pub application_due: u64,
    /// The server restarted the system, or took its power.
    pub system_due: u64,
    /// The largest sum of errors and of seconds that a line has.
    pub errors: u64,
    pub seconds: f64,
    /// The sum of seconds of the last line with an SDC alone, which some parsers take for all.
    pub seconds_at_last_sdc: f64,
    /// Sums of seconds that cannot be, and were not taken.
    pub absurd_sums: u64,
    /// Lines that begin with a word of this format, and others.
    pub known_lines: u64,
    pub unknown_lines: u64,
    /// The last iteration of which the sum was taken.
    #[serde(skip)]
    pub iteration: Option<u64>,
}

/// The logs of a folder, in the order of their names.
pub fn read_folder(folder: &Path) -> io::Result<Vec<Row>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read_file(path)).collect()
}

/// One log.
pub fn read_file(path: &Path) -> io::Result<Row> {
    let named = |error| io::Error::other(format!("{}: {error}", path.display()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut row = of_name(&name);
    let mut reader = BufReader::new(regular_file::open(path).map_err(named)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(LONGEST_LINE);
        if limited.read_until(b'\n', &mut line).map_err(named)? == 0 {
            break;
        }
        row.take(String::from_utf8_lossy(&line).trim());
    }
    if row.end == 0 && row.abort == 0 && row.application_due == 0 && row.system_due == 0 {
        row.application_due = 1;
    }
    Ok(row)
}

impl Row {
    /// Whether a line of it is of this format.
    pub fn is_log(&self) -> bool {
        self.known_lines > 0
    }

    fn take(&mut self, line: &str) {
        // A server puts its time before each line.
        let Some(line) = line.find('#').map(|start| &line[start..]) else {
            self.unknown_lines += u64::from(!line.is_empty());
            return;
        };
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        self.known_lines += 1;
        match word {
            "#HEADER" | "#SERVER_HEADER" if self.header.is_empty() => self.header = rest.to_owned(),
            "#IT" => self.times(rest),
            "#SDC" => {
                self.sdc += 1;
                self.times(rest);
                self.seconds_at_last_sdc = self.seconds;
            }
            "#ABORT" => self.abort += 1,
            "#END" => self.end += 1,
            // A server that stopped the program in its time has seen no `#END` of it.
            "#SERVER_END" => self.end = self.end.max(1),
            _ if line.starts_with("#SERVER_DUE:soft APP reboot") => self.application_due += 1,
            _ if line.starts_with("#SERVER_DUE:soft OS reboot")
                || line.starts_with("#SERVER_DUE:power cycle") =>
            {
                self.system_due += 1;
            }
            "#HEADER" | "#SERVER_HEADER" | "#BEGIN" | "#SERVER_BEGIN" | "#ERR" | "#INF"
            | "#LOGFILE" => {}
            _ => {
                self.known_lines -= 1;
                self.unknown_lines += 1;
            }
        }
    }

    /// Sums only grow: the largest is the last, whatever lines were lost or damaged behind it.
    fn times(&mut self, fields: &str) {
        let value = |name: &str| {
            let mut fields = fields.split_whitespace();
            fields.find_map(|field| field.strip_prefix(name))
        };
        let seconds = |name: &str| {
            let seconds = value(name).and_then(|text| text.parse::<f64>().ok());
            seconds.filter(|seconds| seconds.is_finite())
        };
        // New logs begin with the number alone.
        let iteration = value("Ite:").or_else(|| fields.split_whitespace().next());
        let iteration: Option<u64> = iteration.and_then(|text| text.parse().ok());
        if let Some(sum) = seconds("AccTime:") {
            let kernel = seconds("KerTime:");
            match self.is_too_much(sum, kernel, iteration) {
                true => self.absurd_sums += 1,
                false => {
                    self.seconds = self.seconds.max(sum);
                    self.iteration = iteration.or(self.iteration);
                }
            }
        }
        if let Some(Ok(errors)) = value("AccErr:").map(str::parse) {
            self.errors = self.errors.max(errors);
        }
    }

    /// Whether a sum has grown by far more than its iterations can have taken.
    fn is_too_much(&self, sum: f64, kernel: Option<f64>, iteration: Option<u64>) -> bool {
        let (Some(kernel), Some(iteration)) = (kernel, iteration) else {
            return false;
        };
        // A number that is damaged is followed by a smaller one.
        let iterations = iteration.checked_sub(self.iteration.unwrap_or(0));
        let iterations = iterations.unwrap_or(iteration).max(1);
        sum - self.seconds > MINUTE.max(TOO_FAST * kernel * iterations as f64)
    }
}

/// `%Y_%m_%d_%H_%M_%S_<benchmark>_ECC_{ON|OFF}_<host>.log`; what is not so leaves its fields empty.
fn of_name(name: &str) -> Row {
    let mut row = Row {
        file: name.to_owned(),
        ..Row::default()
    };
    let stem = name.strip_suffix(".log").unwrap_or(name);
    let parts: Vec<&str> = stem.splitn(7, '_').collect();
    if let [year, month, day, hour, minute, second, rest] = parts[..] {
        row.begun = format!("{year}-{month}-{day} {hour}:{minute}:{second}");
        for (mark, has_ecc) in [("_ECC_ON_", true), ("_ECC_OFF_", false)] {
            if let Some((benchmark, host)) = rest.rsplit_once(mark) {
                row.benchmark = benchmark.to_owned();
                row.host = host.to_owned();
                row.has_ecc = Some(has_ecc);
            }
        }
    }
    row
}
