//! Lines of result on stdout, lines of log on stderr.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// Prints a line on stdout. A reader who has gone away must not end the work: the result is also in
/// files and in the exit status.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => { $crate::lines::print_line(format_args!($($argument)*)) };
}

/// Prints a line on stderr. A log that cannot be written must not end the work either.
#[macro_export]
macro_rules! note {
    ($($argument:tt)*) => { $crate::lines::print_note(format_args!($($argument)*)) };
}

/// What [`say!`](crate::say) calls.
pub fn print_line(line: fmt::Arguments<'_>) {
    if let Err(error) = writeln!(io::stdout(), "{}", printable(&line.to_string())) {
        let is_lost = error.kind() != io::ErrorKind::BrokenPipe;
        IS_LOST.fetch_or(is_lost, Ordering::Relaxed);
    }
}

/// Whether a line of result could not be printed, on a full disk for example. A reader who has gone
/// away wanted no more.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// An error if a line was lost: for a command whose result stands nowhere else.
pub fn ensure_printed() -> io::Result<()> {
    match IS_LOST.load(Ordering::Relaxed) {
        true => Err(io::Error::other(
            "standard output: not all could be printed",
        )),
        false => Ok(()),
    }
}

/// What [`note!`](crate::note) calls.
pub fn print_note(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{}", printable(&line.to_string()));
}

/// A text of several lines in which nothing can move the cursor, change colours or turn the
/// direction of writing: whatever a file or a library says is shown, not obeyed.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |character| character != '\n' && character != '\t')
}

/// The same on one line, for a name inside a sentence.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| true)
}

fn escaped(text: &str, may_escape: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_escaped = |character: char| is_control(character) && may_escape(character);
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_escaped(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, and those of Unicode that nobody sees: they break lines, turn the direction
/// of writing (UAX #9), or have no width.
fn is_control(character: char) -> bool {
    let is_unseen = matches!(
        character,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    );
    character.is_control() || is_unseen
}

/// Prints a result that stands nowhere else, JSON for another program for example. A reader may go
/// away, but a full disk is an error.
pub fn print_result(text: &str) -> io::Result<()> {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(io::Error::new(
            error.kind(),
            format!("standard output: {error}"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_the_cursor_is_shown() {
        assert_eq!(printable("a\tb\nc é ✓"), "a\tb\nc é ✓");
        assert_eq!(printable("\u{1b}[31mred\r"), "\\u{1b}[31mred\\r");
        assert_eq!(printable("\u{9b}2J \u{202e}txt"), "\\u{9b}2J \\u{202e}txt");
        assert_eq!(one_line("verdict\nPASS"), "verdict\\nPASS");
    }
}
