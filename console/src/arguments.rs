//! What a program is called with: text of a user that ends up in lines of result.

use std::env;

/// Refuses arguments with a line break: in a message or a report it would begin a line of its own,
/// which might say anything.
pub fn check_arguments() -> Result<(), String> {
    let breaks = |argument: &str| argument.contains(is_line_break);
    for (position, argument) in env::args_os().enumerate().skip(1) {
        if breaks(&argument.to_string_lossy()) {
            return Err(format!(
                "argument {position} has a line break in it: {argument:?}\n\
                 hint: rename the file or folder"
            ));
        }
    }
    Ok(())
}

/// What ends a line on a terminal or a page: line feed, carriage return, next line, and Unicode's
/// separators of lines and paragraphs.
fn is_line_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Prints why the arguments are not understood; what they hold is shown, not obeyed.
pub fn print_usage_error(text: &str) {
    crate::note!("{}", text.trim_end());
}
