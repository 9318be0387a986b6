//! Against a host in this process that behaves as hosts do.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;

/// What the host does with each connection, the last of these with all further ones.
#[derive(Debug, Clone, Copy)]
pub(in crate::cifar10) enum Behaviour {
    /// Gives what is asked for.
    Serves,
    /// The connection ends after so many bytes of the body.
    BreaksAfter(usize),
    /// Gives the whole file, whatever was asked for; ends after so many bytes.
    KnowsNoRanges(usize),
    /// Gives another range than was asked for.
    GivesOtherRange,
    /// Gives a byte now and then.
    Trickles,
    Status(&'static str),
}

/// A host with one file.
pub(in crate::cifar10) struct Host {
    pub(in crate::cifar10) url: String,
    /// The range that each request asked for.
    asked: Receiver<Option<usize>>,
}

fn content() -> Vec<u8> {
    (0..10_000_usize)
        .map(|byte| (byte * byte / 7) as u8)
        .collect()
}

fn host(behaviours: &[Behaviour]) -> Host {
    host_of(content(), behaviours)
}

pub(in crate::cifar10) fn host_of(content: Vec<u8>, behaviours: &[Behaviour]) -> Host {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/file", listener.local_addr().expect("address"));
    let (sender, asked) = channel();
    let behaviours = behaviours.to_vec();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let behaviour = behaviours[number.min(behaviours.len() - 1)];
            // The client may be gone before all is written.
            let _ = answer(stream.expect("a connection"), &content, behaviour, &sender);
        }
    });
    Host { url, asked }
}

/// The first byte that a request asks for.
fn range(stream: &TcpStream) -> io::Result<Option<usize>> {
    let mut range = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_ascii_lowercase();
        if let Some(start) = line.strip_prefix("range: bytes=") {
            range = start.trim_end_matches('-').parse().ok();
        }
        if line.is_empty() {
            break;
        }
    }
    Ok(range)
}

fn answer(
    mut stream: TcpStream,
    content: &[u8],
    behaviour: Behaviour,
    asked: &Sender<Option<usize>>,
) -> io::Result<()> {
    let range = range(&stream)?;
    // Nobody listens once the test has ended.
    let _ = asked.send(range);
    let (start, most) = match behaviour {
        Behaviour::Status(status) => return write_head(&mut stream, status, "", 0),
        Behaviour::KnowsNoRanges(most) => (None, most),
        Behaviour::BreaksAfter(most) => (range, most),
        Behaviour::GivesOtherRange => (range.map(|start| start - 1), usize::MAX),
        Behaviour::Serves | Behaviour::Trickles => (range, usize::MAX),
    };
    let all = content.len();
    let rest = &content[start.unwrap_or(0).min(all)..];
    match start {
        Some(start) if start >= all => {
            let range = format!("Content-Range: bytes */{all}\r\n");
            write_head(&mut stream, "416 Range Not Satisfiable", &range, 0)?;
        }
        Some(start) => {
            let range = format!("Content-Range: bytes {start}-{}/{all}\r\n", all - 1);
            write_head(&mut stream, "206 Partial Content", &range, rest.len())?;
        }
        None => write_head(&mut stream, "200 OK", "", rest.len())?,
    }
    if let Behaviour::Trickles = behaviour {
        for byte in rest {
            stream.write_all(&[*byte])?;
            thread::sleep(Duration::from_millis(5));
        }
    }
    stream.write_all(&rest[..most.min(rest.len())])
}

fn write_head(stream: &mut TcpStream, status: &str, range: &str, length: usize) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{range}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

pub(in crate::cifar10) const LIMITS: Limits = Limits {
    wait: Duration::from_secs(30),
    window: Duration::from_secs(3600),
    least_rate: 1,
    tries: 3,
    pause: Duration::ZERO,
};

/// The file after a download, which began with some bytes.
fn download(host: &Host, before: &[u8], limits: Limits) -> (Vec<u8>, Result<(), DownloadError>) {
    let mut file = tempfile::tempfile().expect("file");
    file.write_all(before).expect("write");
    let mut shown = 0;
    let ended = Download {
        url: &host.url,
        file: &mut file,
        limits,
        progress: &mut |done, total| {
            assert!(total.is_none_or(|total| done <= total && total == 10_000));
            shown = done;
        },
    }
    .run();
    let mut found = Vec::new();
    file.rewind().expect("rewind");
    file.read_to_end(&mut found).expect("read");
    if ended.is_ok() && !found.is_empty() && shown > 0 {
        assert_eq!(shown, found.len() as u64);
    }
    (found, ended)
}

pub(in crate::cifar10) fn asked(host: &Host) -> Vec<Option<usize>> {
    host.asked.try_iter().collect()
}

#[test]
fn a_transfer_that_breaks_off_is_gone_on_with() {
    let host = host(&[
        Behaviour::BreaksAfter(3000),
        Behaviour::BreaksAfter(0),
        Behaviour::Status("503 Service Unavailable"),
        Behaviour::BreaksAfter(2000),
        Behaviour::Serves,
    ]);
    let (found, ended) = download(&host, b"", LIMITS);
    ended.expect("whole");
    assert!(found == content());
    let expected = [None, Some(3000), Some(3000), Some(3000), Some(5000)];
    assert_eq!(asked(&host), expected);
}

#[test]
fn what_an_earlier_process_fetched_is_not_fetched_again() {
    let host = host(&[Behaviour::Serves]);
    let (found, ended) = download(&host, &content()[..7000], LIMITS);
    ended.expect("whole");
    assert!(found == content());
    let (found, ended) = download(&host, &content(), LIMITS);
    ended.expect("whole already");
    assert!(found == content());
    assert_eq!(asked(&host), [Some(7000), Some(10_000)]);
}

#[test]
fn a_host_without_ranges_or_with_others_gives_the_file_from_its_beginning() {
    for first in [
        Behaviour::KnowsNoRanges(usize::MAX),
        Behaviour::GivesOtherRange,
    ] {
        let host = host(&[first, Behaviour::Serves]);
        let (found, ended) = download(&host, &content()[..7000], LIMITS);
        ended.expect("whole");
        assert!(found == content());
    }
    let longer = [content(), content()].concat();
    let (found, ended) = download(&host(&[Behaviour::Serves]), &longer, LIMITS);
    ended.expect("whole");
    assert!(found == content());
}

#[test]
fn a_host_that_never_gets_further_is_given_up() {
    let host = host(&[Behaviour::KnowsNoRanges(4000)]);
    let (found, ended) = download(&host, b"", LIMITS);
    let message = ended.expect_err("never whole").to_string();
    assert_ne!(message, "");
    assert!(found == content()[..4000]);
    assert_eq!(asked(&host).len(), 4);
}

#[test]
fn a_host_that_does_not_have_the_file_is_asked_once() {
    let host = host(&[Behaviour::Status("404 Not Found")]);
    let (_, ended) = download(&host, b"", LIMITS);
    let message = ended.expect_err("no file").to_string();
    assert_eq!(message, "HTTP status 404 Not Found");
    assert_eq!(asked(&host).len(), 1);
}

#[test]
fn a_host_slower_than_the_least_rate_is_given_up_and_what_came_is_kept() {
    let host = host(&[Behaviour::Trickles]);
    let limits = Limits {
        window: Duration::from_millis(100),
        least_rate: u64::MAX,
        ..LIMITS
    };
    let (found, ended) = download(&host, b"", limits);
    assert!(
        matches!(ended, Err(DownloadError::Slow { .. })),
        "{ended:?}"
    );
    assert!(!found.is_empty() && content().starts_with(&found));
}

#[test]
fn the_rate_of_a_window_is_its_bytes_by_its_time() {
    let limits = Limits {
        window: Duration::from_secs(20),
        least_rate: 250_000,
        ..LIMITS
    };
    let slow = limits.check(1_400_000, Duration::from_secs(20));
    assert_eq!(
        slow.expect_err("slow").to_string(),
        "70 kB/s over 20 s, expected 250 kB/s or more"
    );
    assert!(limits.check(5_000_000, Duration::from_secs(20)).is_ok());
    let none = Limits {
        least_rate: 0,
        ..limits
    };
    assert!(none.check(0, Duration::from_secs(20)).is_ok());
}

#[test]
fn ranges_are_read_as_rfc_9110_writes_them() {
    assert_eq!(Range::parse("bytes 42-1233/1234"), Range::From(42));
    assert_eq!(Range::parse("bytes 42-1233/*"), Range::From(42));
    assert_eq!(Range::parse("bytes */1234"), Range::Whole(1234));
    for text in ["", "bytes", "bytes -5/9", "lines 4-5/9", "bytes */*"] {
        assert_eq!(Range::parse(text), Range::Unknown, "{text}");
    }
}
