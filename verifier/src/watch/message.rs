//! What a worker says to its supervisor, a line of JSON each, through a pipe.
//!
//! A line is shorter than what a pipe takes at once (4,096 bytes, POSIX's `PIPE_BUF` on Linux), so
//! that a worker that is killed leaves whole lines.

use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use super::log::event::{Classified, Faulty, Phase, Ready, Rehearsed, Sdc};

/// A line may not be longer.
pub const LONGEST: usize = 4096;

/// Something that a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    Ready(Ready),
    /// It lives, and does this now.
    Alive(Phase),
    /// It has computed and compared.
    Work(Work),
    Sdc(Sdc),
    Faulty(Box<Faulty>),
    Classified(Classified),
    /// It cannot go on, and ends.
    Failed {
        what: String,
        /// Whether the device is not there any more.
        is_device_lost: bool,
    },
    /// It does something on purpose.
    Rehearsed(Rehearsed),
    /// It ends because it was told to.
    Bye,
    /// It ends to be started again.
    Again,
}

/// What was computed since the last of these; see [`super::log::event::Beat`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    pub exposed: f64,
    pub comparing: f64,
    pub slowest: f64,
    pub passes: u64,
    pub batches: u64,
    pub samples: u64,
    pub elements: u64,
}

/// Takes what a worker says: a wrong batch is on a disk when it returns.
pub type Tell<'a> = dyn FnMut(&Message) -> io::Result<()> + 'a;

/// The worker's end of the pipe.
#[derive(Debug)]
pub struct Teller<W> {
    pipe: W,
}

impl<W: io::Write> Teller<W> {
    pub fn new(pipe: W) -> Self {
        Self { pipe }
    }

    /// Says something; an error if nobody hears it any more.
    pub fn tell(&mut self, message: &Message) -> io::Result<()> {
        let mut line = serde_json::to_string(message).map_err(io::Error::other)?;
        line.push('\n');
        if line.len() > LONGEST {
            return Err(io::Error::other("a message is too long for the pipe"));
        }
        self.pipe.write_all(line.as_bytes())
    }
}

/// Reads the next message; what is none is passed over, since a worker may have been hit anywhere.
/// `None` at the end.
pub fn next_message(pipe: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let most = LONGEST as u64 + 1;
        if io::Read::take(&mut *pipe, most).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if let Ok(message) = serde_json::from_slice(&line) {
            return Ok(Some(message));
        }
    }
}

/// A text of at most so many bytes, its beginning.
pub fn shortened(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_passed_over_and_one_that_is_cut_off_is_none() {
        let mut pipe = Vec::new();
        let mut teller = Teller::new(&mut pipe);
        teller.tell(&Message::Alive(Phase::Passes)).expect("told");
        teller.tell(&Message::Work(Work::default())).expect("told");
        pipe.splice(
            0..0,
            [b"\xff\0 garbage \n".as_slice(), &[b'x'; 20_000], b"\n"].concat(),
        );
        pipe.extend(br#"{"bye"#);
        let mut source = pipe.as_slice();
        let mut found = Vec::new();
        while let Some(message) = next_message(&mut source).expect("in memory") {
            found.push(message);
        }
        let expected = [
            Message::Alive(Phase::Passes),
            Message::Work(Work::default()),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_message_that_a_pipe_would_tear_is_refused() {
        let failed = |bytes| Message::Failed {
            what: "ü".repeat(bytes / 2),
            is_device_lost: false,
        };
        let tell = |bytes| Teller::new(io::sink()).tell(&failed(bytes));
        assert!(tell(4000).is_ok() && tell(LONGEST).is_err());
        assert_eq!(shortened("aüb", 2), "a");
    }
}
