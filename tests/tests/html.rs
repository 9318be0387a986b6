//! The page of a report in a real browser: nothing on the console, nothing asked of a network,
//! something to see.
//!
//! Skipped with a notice where there is no Chromium, unless REQUIRE_CHROMIUM is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{bundle, check, run, scratch};

/// What the browser made of a page.
struct Visit {
    console: Vec<String>,
    requests: Vec<String>,
    screenshot: Vec<u8>,
}

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        std::env::split_paths(&folders)
            .flat_map(|folder| {
                ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name))
            })
            .find(|file| file.is_file())
    });
    if found.is_none() {
        assert!(
            std::env::var_os("REQUIRE_CHROMIUM").is_none(),
            "REQUIRE_CHROMIUM is set, and there is no Chromium"
        );
        eprintln!("SKIPPED: no Chromium in PATH; CHROMIUM=FILE names one");
    }
    found
}

fn visit(chromium: &Path, page: &Path, width: u32, dark: bool) -> Visit {
    let folder = scratch();
    let (log, picture) = (
        folder.path().join("net.json"),
        folder.path().join("page.png"),
    );
    let mut command = Command::new(chromium);
    // Without a sandbox, since the tests may run as root, where Chromium has none.
    command.args(
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars"
            .split(' '),
    );
    command.args(
        "--disable-background-networking --disable-component-update --disable-sync".split(' '),
    );
    command
        .arg("--enable-logging=stderr")
        .arg(format!("--window-size={width},1600"));
    command.arg(format!(
        "--blink-settings=preferredColorScheme={}",
        u8::from(!dark)
    ));
    command.arg(format!(
        "--user-data-dir={}",
        folder.path().join("profile").display()
    ));
    command
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("--screenshot={}", picture.display()));
    let ended = run(command.arg(format!("file://{}", page.display()))).expect_status(0);
    let console = ended
        .stderr
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .map(str::to_owned)
        .collect();

    let log: serde_json::Value =
        serde_json::from_slice(&fs::read(&log).expect("a log")).expect("JSON");
    let kinds = log["constants"]["logEventTypes"]
        .as_object()
        .expect("kinds of events");
    let start = &kinds["URL_REQUEST_START_JOB"];
    let events = log["events"].as_array().expect("events").iter();
    let requests = events
        .filter(|event| event["type"] == *start)
        .map(|event| &event["params"]);
    // The browser asks for things of its own: the time, its updates. What a page asks for has the
    // page as its initiator.
    let requests = requests.filter(|request| {
        request["initiator"]
            .as_str()
            .is_some_and(|by| by != "not an origin")
    });
    let requests = requests
        .filter_map(|request| request["url"].as_str())
        .map(str::to_owned)
        .collect();
    Visit {
        console,
        requests,
        screenshot: fs::read(&picture).expect("a screenshot"),
    }
}

#[test]
fn pages_are_quiet_ask_for_nothing_and_show_something() {
    let Some(chromium) = chromium() else { return };
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let page = |name: &str| folder.path().join(name);
    let [pass, fail, error] = ["pass.html", "fail.html", "error.html"].map(page);
    let report = |page: &Path| page.to_str().expect("UTF-8").to_owned();
    check(&bundle, &["--report", &report(&pass)]).expect_status(0);
    let faults = [
        "--fault",
        "output[3,4,5]=12",
        "--fault",
        "golden[5,0,0]=nan",
        "--fault",
        "weight:to_qkv_weight[1,2]^29",
    ];
    check(
        &bundle,
        &[&faults[..], &["--report", &report(&fail)]].concat(),
    )
    .expect_status(1);
    check(
        &bundle,
        &["--range", "0", "21", "--report", &report(&error)],
    )
    .expect_status(2);

    let blank = page("blank.html");
    fs::write(
        &blank,
        "<!DOCTYPE html><title>blank</title><link rel=icon href='data:,'>",
    )
    .expect("a page");
    let blank = visit(&chromium, &blank, 1100, false);
    for (file, text) in [(&pass, "PASS"), (&fail, "FAIL"), (&error, "NO RESULT")] {
        assert!(
            fs::read_to_string(file).expect("a page").contains(text),
            "{}",
            file.display()
        );
        let size = fs::metadata(file).expect("a page").len();
        assert!(size < 1_000_000, "{}: {size} bytes", file.display());
        for (width, dark) in [(1100, false), (1100, true), (420, false)] {
            let seen = visit(&chromium, file, width, dark);
            assert_eq!(
                (seen.console, seen.requests),
                (vec![], vec![]),
                "{}",
                file.display()
            );
            let [page, nothing] = [seen.screenshot.len(), blank.screenshot.len()];
            assert!(
                page > 3 * nothing,
                "{}: a picture of {page} bytes, {nothing} when blank",
                file.display()
            );
        }
    }
}

#[test]
fn a_page_that_is_not_quiet_is_noticed() {
    let Some(chromium) = chromium() else { return };
    let folder = scratch();
    let page = folder.path().join("loud.html");
    let text = "<!DOCTYPE html><link rel=icon href='data:,'><img src='http://127.0.0.1:9/x.png'><script>console.error('loud')</script>";
    fs::write(&page, text).expect("a page");
    let seen = visit(&chromium, &page, 800, false);
    assert!(
        seen.console.iter().any(|line| line.contains("loud")),
        "{:?}",
        seen.console
    );
    assert!(
        seen.requests
            .iter()
            .any(|url| url.contains("127.0.0.1:9/x.png")),
        "{:?}",
        seen.requests
    );
}

#[test]
fn texts_of_a_bundle_are_no_markup() {
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 2);
    let page = folder.path().join("page.html");
    let hostile = folder.path().join("<script>alert(1)");
    fs::rename(&bundle, &hostile).expect("renamed");
    check(&hostile, &["--report", page.to_str().expect("UTF-8")]).expect_status(0);
    let text = fs::read_to_string(&page).expect("a page");
    assert!(
        !text.contains("<script") && text.contains("&lt;script&gt;"),
        "{text}"
    );
}
