//! The literals of Python that the header of an NPY file is written in.

/// How deep brackets may lie in each other; a record of records takes some.
const DEEPEST: usize = 12;

/// A literal, as far as headers need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Number(u64),
    Bool(bool),
    None,
    /// A tuple or a list.
    Items(Vec<Self>),
    Dict(Vec<(Self, Self)>),
}

impl Literal {
    /// Of a whole text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let literal = reader.literal(0)?;
        reader.skip_space();
        reader.rest.is_empty().then_some(literal)
    }

    /// The value of a dict under a key.
    pub(super) fn get(&self, wanted: &str) -> Option<&Self> {
        let Self::Dict(entries) = self else {
            return None;
        };
        let mut entries = entries.iter();
        let is_wanted = |key: &Self| matches!(key, Self::Text(key) if key == wanted);
        entries
            .find(|(key, _)| is_wanted(key))
            .map(|(_, value)| value)
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn literal(&mut self, depth: usize) -> Option<Literal> {
        self.skip_space();
        if depth > DEEPEST {
            return None;
        }
        match self.rest.chars().next()? {
            '\'' | '"' => self.text().map(|text| Literal::Text(text.to_owned())),
            '(' => self.items(')', depth),
            '[' => self.items(']', depth),
            '{' => self.dict(depth),
            '0'..='9' => self.number(),
            _ => self.word(),
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let quote = self.rest.chars().next()?;
        let (text, rest) = self.rest[1..].split_once(quote)?;
        if text.contains('\\') {
            return None;
        }
        self.rest = rest;
        Some(text)
    }

    fn number(&mut self) -> Option<Literal> {
        let end = self
            .rest
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        // Python 2 wrote a long number with an L.
        self.rest = rest.strip_prefix('L').unwrap_or(rest);
        digits.parse().ok().map(Literal::Number)
    }

    fn word(&mut self) -> Option<Literal> {
        let words = [
            ("True", Literal::Bool(true)),
            ("False", Literal::Bool(false)),
            ("None", Literal::None),
        ];
        words.into_iter().find_map(|(word, literal)| {
            self.rest = self.rest.strip_prefix(word)?;
            Some(literal)
        })
    }

    fn items(&mut self, end: char, depth: usize) -> Option<Literal> {
        self.rest = &self.rest[1..];
        let mut items = Vec::new();
        while !self.take(end) {
            items.push(self.literal(depth + 1)?);
            self.comma_unless(end)?;
        }
        Some(Literal::Items(items))
    }

    fn dict(&mut self, depth: usize) -> Option<Literal> {
        self.rest = &self.rest[1..];
        let mut entries = Vec::new();
        while !self.take('}') {
            let key = self.literal(depth + 1)?;
            if !self.take(':') {
                return None;
            }
            entries.push((key, self.literal(depth + 1)?));
            self.comma_unless('}')?;
        }
        Some(Literal::Dict(entries))
    }

    /// A comma, or nothing before the end.
    fn comma_unless(&mut self, end: char) -> Option<()> {
        if self.take(',') {
            return Some(());
        }
        self.rest.starts_with(end).then_some(())
    }

    fn take(&mut self, character: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_every_writer_are_read() {
        let text = "{'descr': [('x', '<f4', (2,)), (\"y\", '|u1')], 'fortran_order': False, \
                    'shape': (3L, 2,), }\n";
        let header = Literal::parse(text).expect("a dict");
        assert_eq!(header.get("fortran_order"), Some(&Literal::Bool(false)));
        let shape = Literal::Items(vec![Literal::Number(3), Literal::Number(2)]);
        assert_eq!(header.get("shape"), Some(&shape));
        assert_eq!(header.get("more"), None);
        assert!(matches!(header.get("descr"), Some(Literal::Items(fields)) if fields.len() == 2));
    }

    #[test]
    fn what_is_no_literal_is_none() {
        for text in [
            "",
            "(",
            "(1 2)",
            "{1}",
            "{1:2",
            "-1",
            "'a",
            "1 2",
            "(,)",
            "0x10",
            "'\\x41'",
            "Nope",
            "99999999999999999999",
        ] {
            assert_eq!(Literal::parse(text), None, "{text}");
        }
        assert_eq!(Literal::parse(&"(".repeat(1_000_000)), None);
    }
}
