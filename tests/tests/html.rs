//! The page of a report in a real browser: nothing on the console, nothing asked of a network,
//! something to see.
//!
//! Skipped with a notice where there is no Chromium, unless REQUIRE_CHROMIUM is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{Program, bundle, check, read_json, root, run, scratch, tiny_bundle, utf8};

/// Bytes of an image of CIFAR-10, and of the head of an NPY file of them.
const IMAGE: usize = 32 * 32 * 3;
const NPY_HEAD: usize = 128;

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

/// Chromium without a window, with a home of its own.
fn browser(chromium: &Path, home: &Path) -> Command {
    const QUIET: &str = "--headless --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
                         --disable-background-networking --disable-component-update --disable-sync";
    let mut command = Command::new(chromium);
    command.current_dir(home).env("HOME", home);
    // Without a sandbox, since the tests may run as root, where Chromium has none.
    command.args(QUIET.split(' ')).arg("--no-sandbox");
    command.arg(format!(
        "--user-data-dir={}",
        home.join("profile").display()
    ));
    command
}

fn visit(chromium: &Path, page: &Path, width: u32, dark: bool) -> Visit {
    let folder = scratch();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (log, screenshot) = (file("net.json"), file("page.png"));
    let mut command = browser(chromium, folder.path());
    command
        .arg("--enable-logging=stderr")
        .arg(format!("--window-size={width},1600"))
        .arg(format!(
            "--blink-settings=preferredColorScheme={}",
            u8::from(!dark)
        ))
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

/// A small campaign at all sites, and its page.
fn run_campaign(bundle: &Path, out: &Path, page: &Path) {
    let mut command = Program::Verifier.command();
    command
        .args(["campaign", "run"])
        .arg(bundle)
        .arg("--out")
        .arg(out);
    command
        .args(["--device", "cpu", "--count", "2000", "--report"])
        .arg(page);
    run(&mut command).expect_status(0);
}

#[test]
fn pages_are_quiet_ask_for_nothing_and_show_something() {
    let Some(chromium) = chromium() else { return };
    let folder = scratch();
    let bundle = bundle(folder.path(), "nano", 20);
    let page = |name: &str| folder.path().join(name);
    let names = [
        "pass.html",
        "fail.html",
        "many.html",
        "error.html",
        "campaign.html",
    ];
    let [pass, fail, many, error, campaign] = names.map(page);
    check(&bundle, &["--report", utf8(&pass)]).expect_status(0);
    let faults = [
        "output[3,4,5]=12",
        "golden[5,0,0]=nan",
        "weight:to_qkv_weight[1,2]^29",
    ];
    let faults = faults.map(|fault| ["--fault", fault]);
    let arguments = [faults.as_flattened(), &["--report", utf8(&fail)]].concat();
    check(&bundle, &arguments).expect_status(1);
    let faults: Vec<String> = (0..32)
        .map(|bit| format!("output[7,{bit},{bit}]^{bit}"))
        .collect();
    let faults = faults.iter().flat_map(|fault| ["--fault", fault]);
    let arguments: Vec<&str> = faults.chain(["--report", utf8(&many)]).collect();
    check(&bundle, &arguments).expect_status(1);
    check(&bundle, &["--range", "0", "21", "--report", utf8(&error)]).expect_status(2);
    run_campaign(&bundle, &page("study"), &campaign);

    let blank = page("blank.html");
    fs::write(
        &blank,
        "<!DOCTYPE html><title>blank</title><link rel=icon href='data:,'>",
    )
    .expect("a page");
    let blank = visit(&chromium, &blank, 1100, false);
    for (file, text) in [
        (&pass, "PASS"),
        (&fail, "FAIL"),
        (&many, "Faults by the bit that they invert"),
        (&error, "NO RESULT"),
        (&campaign, "By site and bit"),
    ] {
        let name = file.display();
        let page = fs::read_to_string(file).expect("a page");
        assert!(page.contains(text), "{name}");
        assert!(page.len() < 1_000_000, "{name}: {} bytes", page.len());
        let ways = [(1100, false), (1100, true), (420, false)];
        let [light, dark, narrow] = ways.map(|(width, dark)| {
            let seen = visit(&chromium, file, width, dark);
            assert_eq!(seen.console, [""; 0], "{name}");
            assert_eq!(seen.requests, [""; 0], "{name}");
            let [page, nothing] = [seen.screenshot.len(), blank.screenshot.len()];
            assert!(
                page > 3 * nothing,
                "{name}: a screenshot of {page} bytes, {nothing} when blank"
            );
            seen.screenshot
        });
        assert!(
            light != dark && light != narrow,
            "{name}: looks the same everywhere"
        );
    }
}

/// What the browser makes of an image: `[32, 32, 3]`, row, column, channel R, G, B.
fn decoded(chromium: &Path, address: &str) -> Vec<u8> {
    const DRAW: &str = "const c = document.querySelector('canvas').getContext('2d'); \
                        c.drawImage(this, 0, 0); \
                        const bytes = [...c.getImageData(0, 0, 32, 32).data]; \
                        document.querySelector('pre').textContent = \
                        bytes.filter((_, i) => i % 4 < 3).join(' ')";
    let folder = scratch();
    let page = folder.path().join("image.html");
    let text = format!(
        "<!DOCTYPE html><link rel=icon href='data:,'><pre></pre>\
         <canvas width=32 height=32></canvas><img src=\"{address}\" onload=\"{DRAW}\">"
    );
    fs::write(&page, text).expect("a page");
    let mut command = browser(chromium, folder.path());
    command
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()));
    let dom = run(&mut command).expect_status(0).stdout;
    let (_, rest) = dom.split_once("<pre>").expect("a list");
    let (bytes, _) = rest.split_once("</pre>").expect("its end");
    let bytes = bytes.split_whitespace();
    bytes.map(|byte| byte.parse().expect("a byte")).collect()
}

/// The number of each sample that a page shows, and the address of its image if there is one.
fn samples_of(page: &str) -> Vec<(usize, Option<&str>)> {
    let articles = page.split("<article>").skip(1).map(|article| {
        let (_, rest) = article.split_once("<h3>Sample ").expect("a heading");
        let digits = rest.find(|character: char| !character.is_ascii_digit());
        let number = rest[..digits.expect("an end")].parse().expect("a number");
        let image = article
            .split_once("src=\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        (number, image.map(|(address, _)| address))
    });
    articles.collect()
}

#[test]
fn the_images_on_a_page_are_those_of_the_bundle() {
    let Some(chromium) = chromium() else { return };
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let page = folder.path().join("page.html");
    let faults = ["output[6,4,5]=12", "golden[1,0,0]=nan"];
    let faults = faults.map(|fault| ["--fault", fault]);
    let arguments = [faults.as_flattened(), &["--report", utf8(&page)]].concat();
    check(&bundle, &arguments).expect_status(1);
    let page = fs::read_to_string(&page).expect("a page");
    let pixels = fs::read(bundle.join("npy/pixels.npy")).expect("pixels");
    let shown = samples_of(&page);
    let numbers: Vec<usize> = shown.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 6], "the worst first");
    for (number, address) in shown {
        let seen = decoded(&chromium, address.expect("an image"));
        let expected = &pixels[NPY_HEAD + number * IMAGE..][..IMAGE];
        assert!(
            seen == expected,
            "sample {number}: {:?} …",
            &seen[..seen.len().min(9)]
        );
    }
}

#[test]
fn a_bundle_without_pixels_has_a_page_without_images() {
    let folder = scratch();
    let page = folder.path().join("page.html");
    let bundle = root().join("tests/fixtures/tiny_bundle_1_0");
    let arguments = ["--fault", "output[6,4,5]=12", "--report", utf8(&page)];
    check(&bundle, &arguments).expect_status(1);
    let page = fs::read_to_string(&page).expect("a page");
    assert_eq!(samples_of(&page), [(6, None)]);
    assert!(!page.contains("<img"), "{page}");
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
