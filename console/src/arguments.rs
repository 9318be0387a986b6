//! What a program is called with: text of a user that ends up in lines of result.

use std::env;
use std::ffi::OsString;

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
    if text.contains("invalid UTF-8") {
        // `clap` says neither which argument it is nor of which flag.
        let arguments: Vec<OsString> = env::args_os().collect();
        for line in not_utf8(&arguments) {
            crate::note!("{line}");
        }
    }
}

/// The arguments that are no text, each with what stands before it.
fn not_utf8(arguments: &[OsString]) -> Vec<String> {
    let pairs = arguments.windows(2).enumerate();
    let found = pairs.filter(|(_, pair)| pair[1].to_str().is_none());
    found
        .map(|(before, pair)| {
            let (position, before) = (before + 1, pair[0].to_string_lossy());
            format!(
                "argument {position}, after {before}: {:?} is not UTF-8, as only a path may be",
                pair[1]
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn an_argument_that_is_no_text_is_named_with_its_flag() {
        let bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let arguments = [&b"verifier"[..], b"check", b"--part", b"a\xff"].map(bytes);
        assert_eq!(
            not_utf8(&arguments),
            [r#"argument 3, after --part: "a\xFF" is not UTF-8, as only a path may be"#]
        );
        assert!(not_utf8(&arguments[..3]).is_empty());
    }
}
