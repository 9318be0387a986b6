//! The page of a report in a real browser: nothing on the console, nothing asked of a network,
//! something to see.
//!
//! Skipped with a notice where there is no Chromium, unless REQUIRE_CHROMIUM is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{bundle, check, read_json, run, scratch, utf8};

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
    const QUIET: &str = "--headless --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
                         --disable-background-networking --disable-component-update --disable-sync";
    let folder = scratch();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (log, screenshot) = (file("net.json"), file("page.png"));
    let mut command = Command::new(chromium);
    command
        .current_dir(folder.path())
        .env("HOME", folder.path());
    // Without a sandbox, since the tests may run as root, where Chromium has none.
    command.args(QUIET.split(' ')).arg("--no-sandbox");
    command
        .arg("--enable-logging=stderr")
        .arg(format!("--window-size={width},1600"))
        .arg(format!(
            "--blink-settings=preferredColorScheme={}",
            u8::from(!dark)
        ))
        .arg(format!("--user-data-dir={}", file("profile")))
        .arg(format!("--log-net-log={log}"))
        .arg(format!("--screenshot={screenshot}"));
    let ended = run(command.arg(format!("file://{}", page.display()))).expect_status(0);
    let lines = ended.stderr.lines();
    Visit {
        console: lines
            .filter(|line| line.contains("CONSOLE"))
            .map(str::to_owned)
            .collect(),
        requests: requests_of_the_page(Path::new(&log)),
        screenshot: fs::read(&screenshot).expect("a screenshot"),
    }
}

/// The addresses that a page asked for, from Chromium's log of its network.
fn requests_of_the_page(log: &Path) -> Vec<String> {
    let log = read_json(log);
    let start = &log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
    assert!(start.is_number(), "the kinds of events have changed");
    let events = log["events"].as_array().expect("events").iter();
    events
        .filter(|event| event["type"] == *start)
        .map(|event| &event["params"])
        // The browser asks for things of its own: the time, its updates. What a page asks for has
        // the page as its initiator.
        .filter(|request| {
            let by = request["initiator"].as_str();
            by.is_some_and(|by| by != "not an origin")
        })
        .filter_map(|request| request["url"].as_str())
        .map(str::to_owned)
        .collect()
}

#[test]
fn pages_are_quiet_ask_for_nothing_and_show_something() {
    let Some(chromium) = chromium() else { return };
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let page = |name: &str| folder.path().join(name);
    let [pass, fail, error] = ["pass.html", "fail.html", "error.html"].map(page);
    check(&bundle, &["--report", utf8(&pass)]).expect_status(0);
    let faults = [
        "output[3,4,5]=12",
        "golden[5,0,0]=nan",
        "weight:to_qkv_weight[1,2]^29",
    ];
    let faults = faults.map(|fault| ["--fault", fault]);
    let arguments = [faults.as_flattened(), &["--report", utf8(&fail)]].concat();
    check(&bundle, &arguments).expect_status(1);
    check(&bundle, &["--range", "0", "21", "--report", utf8(&error)]).expect_status(2);

    let blank = page("blank.html");
    fs::write(
        &blank,
        "<!DOCTYPE html><title>blank</title><link rel=icon href='data:,'>",
    )
    .expect("a page");
    let blank = visit(&chromium, &blank, 1100, false);
    for (file, verdict) in [(&pass, "PASS"), (&fail, "FAIL"), (&error, "NO RESULT")] {
        let name = file.display();
        let text = fs::read_to_string(file).expect("a page");
        assert!(text.contains(verdict), "{name}");
        assert!(text.len() < 1_000_000, "{name}: {} bytes", text.len());
        for (width, dark) in [(1100, false), (1100, true), (420, false)] {
            let seen = visit(&chromium, file, width, dark);
            assert_eq!(seen.console, [""; 0], "{name}");
            assert_eq!(seen.requests, [""; 0], "{name}");
            let [page, nothing] = [seen.screenshot.len(), blank.screenshot.len()];
            assert!(
                page > 3 * nothing,
                "{name}: a screenshot of {page} bytes, {nothing} when blank"
            );
        }
    }
}

#[test]
fn a_page_that_is_not_quiet_is_noticed() {
    let Some(chromium) = chromium() else { return };
    let folder = scratch();
    let page = folder.path().join("loud.html");
    let text = "<!DOCTYPE html><link rel=icon href='data:,'>\
                <img src='http://127.0.0.1:9/x.png'><script>console.error('loud')</script>";
    fs::write(&page, text).expect("a page");
    let seen = visit(&chromium, &page, 800, false);
    let holds = |lines: &[String], text| lines.iter().any(|line| line.contains(text));
    assert!(holds(&seen.console, "loud"), "{:?}", seen.console);
    assert!(
        holds(&seen.requests, "127.0.0.1:9/x.png"),
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
    check(&hostile, &["--report", utf8(&page)]).expect_status(0);
    let text = fs::read_to_string(&page).expect("a page");
    assert!(
        !text.contains("<script") && text.contains("&lt;script&gt;"),
        "{text}"
    );
}
