//! Rust sources as text that rules can be checked on: without comments and strings, without
//! tests, as words, and as functions with their lengths.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// All Rust files below a folder, in the order of their names.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder);
        for entry in entries.unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// The text with spaces in the place of every comment, string and character. Lines stay lines.
pub fn code_alone(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let after_word = at > 0 && is_word(bytes[at - 1]);
        let end = match bytes[at] {
            b'/' => end_of_comment(bytes, at),
            b'"' => Some(end_of_string(bytes, at)),
            b'\'' => end_of_character(text, at),
            b'r' | b'b' | b'c' if !after_word => end_of_prefixed_string(bytes, at),
            _ => None,
        };
        if let Some(end) = end {
            blank(&mut code, at..end);
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8(code).expect("whole characters were replaced")
}

fn blank(code: &mut [u8], range: Range<usize>) {
    for byte in &mut code[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn end_of_comment(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start + 1)? {
        b'/' => {
            let line = bytes[start..].iter().position(|&byte| byte == b'\n');
            Some(line.map_or(bytes.len(), |length| start + length))
        }
        b'*' => {
            let (mut depth, mut at) = (1, start + 2);
            while depth > 0 && at < bytes.len() {
                match bytes.get(at..at + 2) {
                    Some(b"/*") => (depth, at) = (depth + 1, at + 2),
                    Some(b"*/") => (depth, at) = (depth - 1, at + 2),
                    _ => at += 1,
                }
            }
            Some(at)
        }
        _ => None,
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Of a character; `None` of a lifetime.
fn end_of_character(text: &str, start: usize) -> Option<usize> {
    let mut characters = text[start + 1..].char_indices();
    let (_, first) = characters.next()?;
    if first == '\\' {
        characters.next();
        let (length, _) = characters.find(|&(_, character)| character == '\'')?;
        return Some(start + 1 + length + 1);
    }
    let (length, second) = characters.next()?;
    (second == '\'').then_some(start + 1 + length + 1)
}

/// Of `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `c"…"` and `b'…'`.
fn end_of_prefixed_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while matches!(bytes.get(at)?, b'r' | b'b' | b'c') && at < start + 2 {
        at += 1;
    }
    let is_raw = bytes[start..at].contains(&b'r');
    let hashes = bytes[at..].iter().take_while(|&&byte| byte == b'#').count();
    match bytes.get(at + hashes)? {
        b'"' if is_raw => {
            let closing = [&b"\""[..], &vec![b'#'; hashes]].concat();
            let body = at + hashes + 1;
            let length = bytes[body..]
                .windows(closing.len())
                .position(|window| window == closing);
            Some(length.map_or(bytes.len(), |length| body + length + closing.len()))
        }
        b'"' if hashes == 0 => Some(end_of_string(bytes, at)),
        _ => None,
    }
}

/// [`code_alone`] with spaces also in the place of every item marked `#[cfg(test)]`.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut bytes = code.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = code[from..].find(MARK) {
        let start = from + found;
        let end = end_of_item(code.as_bytes(), start + MARK.len());
        blank(&mut bytes, start..end);
        from = end;
    }
    String::from_utf8(bytes).expect("whole characters were replaced")
}

/// Behind the `;` or the closing brace that ends an item.
fn end_of_item(code: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The words of [`code_alone`]: identifiers, `::`, and every other sign by itself.
pub fn words(code: &str) -> Vec<&str> {
    let bytes = code.as_bytes();
    let (mut words, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let length = match bytes[at] {
            byte if is_word(byte) => bytes[at..]
                .iter()
                .take_while(|&&byte| is_word(byte))
                .count(),
            b':' if bytes.get(at + 1) == Some(&b':') => 2,
            _ => 1,
        };
        if !bytes[at].is_ascii_whitespace() {
            words.push(&code[at..at + length]);
        }
        at += length;
    }
    words
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// The line of `fn`, from 1.
    pub line: usize,
    /// From the line of `fn` to that of the closing brace, both counted.
    pub lines: usize,
}

/// All functions of [`code_alone`], those inside others too.
pub fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let mut functions = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if at > 0 && is_word(bytes[at - 1]) {
            continue;
        }
        let name: String = code[at + 3..]
            .chars()
            .take_while(|character| character.is_alphanumeric() || *character == '_')
            .collect();
        let end = end_of_item(bytes, at);
        // One without a body ends with a semicolon; a pointer to a function has no name.
        if name.is_empty() || bytes[end - 1] != b'}' {
            continue;
        }
        let line_of = |at: usize| 1 + code[..at].matches('\n').count();
        let line = line_of(at);
        functions.push(Function {
            name,
            line,
            lines: line_of(end) - line + 1,
        });
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        let text = r###"
let a = "crate::a \" ' // {"; // crate::b
/* crate::c /* inner */ still */ let b = r#"crate::d " {"#;
let c = '{'; let d = '\''; let e = b'{'; let f = b"crate::e"; fn g<'a>(x: &'a str) {}
let number = 'é';
"###;
        let code = code_alone(text);
        assert_eq!(code.lines().count(), text.lines().count());
        let expected = "let a = ; let b = ; let c = ; let d = ; let e = b ; let f = ; \
             fn g < ' a > ( x : & ' a str ) { } let number = ;";
        let expected: Vec<&str> = expected.split_whitespace().collect();
        assert_eq!(words(&code), expected);
    }

    #[test]
    fn tests_are_left_out_whatever_is_marked() {
        let code = "use a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[allow(x)]\nmod more {\nuse \
                    b; fn c() {}\n}\nuse d;\n#[cfg(test)] fn e(f: [u8; 3]) { g }\nfn h() {}";
        let left = without_tests(code);
        assert_eq!(words(&left), words("use a; use d; fn h() {}"));
        assert_eq!(left.lines().count(), code.lines().count());
    }

    #[test]
    fn functions_are_measured_from_their_first_line_to_their_brace() {
        let code = "fn one() {}\ntrait T { fn none(&self); }\n\nfn two(\n    a: [u8; 3],\n) -> \
                    fn (u8) {\n    fn inner() {\n    }\n}\n";
        let found = functions(code);
        let found: Vec<_> = found
            .iter()
            .map(|function| (function.name.as_str(), function.line, function.lines))
            .collect();
        assert_eq!(found, [("one", 1, 1), ("two", 4, 6), ("inner", 7, 2)]);
    }
}
