//! Text from a file in messages.

/// Text from a file, fit for a message: one line without control characters, and not too long.
pub fn printable(text: &str) -> String {
    text.chars()
        .take(100)
        .flat_map(char::escape_debug)
        .collect()
}
