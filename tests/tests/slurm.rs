//! A campaign as a Slurm array on a private Slurm of this machine: with a task killed, a node lost
//! and a task out of time, the reports are byte for byte those of a run without Slurm.
//!
//! Skipped with a notice where Slurm is not installed, unless REQUIRE_SLURM is set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::{Program, root, run, scratch, tiny_bundle, utf8};

const NODES: &str = "3";
const SHARDS: usize = 4;
/// Enough that every shard is under way for some seconds.
const FAULTS: &str = "100000";
/// Slurm itself is slow to notice a lost node; nothing here is expected to take as long.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(300);
const REPORTS: [&str; 4] = ["report.json", "report.html", "report.md", "report.csv"];

/// A Slurm of the test's own, which ends with it.
struct Slurm {
    folder: TempDir,
}

/// The path with the folders of daemons, where distributions keep Slurm's.
fn path_with_daemons() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

fn is_installed(program: &str) -> bool {
    let path = path_with_daemons();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

impl Slurm {
    /// `None` where it is not installed.
    fn start() -> Option<Self> {
        let needed = ["slurmctld", "slurmd", "munged", "sbatch", "scancel"];
        let missing: Vec<&str> = needed
            .into_iter()
            .filter(|name| !is_installed(name))
            .collect();
        if !missing.is_empty() {
            assert!(
                std::env::var_os("REQUIRE_SLURM").is_none(),
                "REQUIRE_SLURM is set, and there is no {}",
                missing.join(", ")
            );
            eprintln!("SKIPPED: no Slurm: no {} in PATH", missing.join(", "));
            return None;
        }
        let slurm = Self { folder: scratch() };
        slurm.script(&["start"], &[NODES, "1"]).expect_status(0);
        Some(slurm)
    }

    /// A verb of the script that runs it, the folder, and the verb's own arguments.
    fn script(&self, verb: &[&str], arguments: &[&str]) -> tests::Ended {
        let mut command = Command::new(root().join("tests/slurm/private-slurm.sh"));
        command.args(verb).arg(self.folder.path()).args(arguments);
        command
            .env("PRIVATE_SLURM_OWNER", std::process::id().to_string())
            .env("PRIVATE_SLURM_ADDR", "resolved");
        run(&mut command)
    }

    /// A command that talks to this Slurm.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let config = self.folder.path().join("slurm.conf");
        command
            .env("SLURM_CONF", config)
            .env("PATH", path_with_daemons());
        command
    }

    /// The node that a task runs on, once it does.
    fn node_of(&self, task: &str) -> String {
        let mut command = self.command("squeue");
        command.args([
            "--noheader",
            "--states=RUNNING",
            "--format=%N",
            "--jobs",
            task,
        ]);
        run(&mut command).expect_status(0).stdout.trim().to_owned()
    }

    /// Kills what the batch script of a shard has started.
    fn kill_program_of(&self, shard: usize) {
        let own = format!(
            "SLURM_CONF={}",
            self.folder.path().join("slurm.conf").display()
        );
        let shard = format!("SLURM_ARRAY_TASK_ID={shard}");
        let processes = fs::read_dir("/proc").expect("processes").flatten();
        let is_program = |process: &PathBuf| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            let has = |text: &str| {
                environment
                    .split(|&byte| byte == 0)
                    .any(|own| own == text.as_bytes())
            };
            let program = fs::read_link(process.join("exe")).unwrap_or_default();
            program == Program::Verifier.path() && has(&own) && has(&shard)
        };
        let found: Vec<PathBuf> = processes
            .map(|entry| entry.path())
            .filter(is_program)
            .collect();
        assert_eq!(found.len(), 1, "{}", self.state());
        let pid = found[0].file_name().expect("a number");
        run(Command::new("kill").arg("-KILL").arg(pid)).expect_status(0);
    }

    /// What Slurm knows, for who reads of a failure.
    fn state(&self) -> String {
        let queue = run(self.command("squeue").arg("--all"));
        let nodes = run(self.command("sinfo").args(["--Node", "--format=%N %T %E"]));
        format!("{queue}\n{nodes}")
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let stopped = self.script(&["stop"], &[]);
        if std::thread::panicking() {
            eprintln!("{stopped}");
        }
    }
}

/// The campaign's flags behind the bundle.
fn flags(out: &Path, report_in: Option<&Path>) -> Vec<String> {
    let mut flags: Vec<String> = ["--device", "cpu", "--count", FAULTS, "--batch-size", "8"]
        .into_iter()
        .chain(["--sites", "inputs,edges,outputs", "--out", utf8(out)])
        .map(str::to_owned)
        .collect();
    for name in REPORTS {
        let in_folder = |folder: &Path| ["--report".into(), utf8(&folder.join(name)).into()];
        flags.extend(report_in.map(in_folder).into_iter().flatten());
    }
    flags
}

/// How often a shard was begun.
fn attempts(out: &Path, shard: usize) -> usize {
    let begins = format!("shard-{shard}-of-{SHARDS}.");
    let files = fs::read_dir(out.join("results")).into_iter().flatten();
    let names = files.map(|file| file.expect("an entry").file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with(&begins))
        .count()
}

/// Bytes of the first attempt of a shard.
fn written(out: &Path, shard: usize) -> u64 {
    let file = out.join(format!("results/shard-{shard}-of-{SHARDS}.1.results"));
    fs::metadata(file).map_or(0, |file| file.len())
}

#[track_caller]
fn wait_until(what: &str, state: &dyn Fn() -> String, is_so: &dyn Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < NOTICE_TIMEOUT,
            "not yet {what}\n{}",
            state()
        );
        sleep(Duration::from_millis(50));
    }
}

/// Submits the campaign and gives the number of the array.
fn submit(slurm: &Slurm, folder: &Path, bundle: &Path, out: &Path) -> String {
    let mut command = slurm.command(root().join("scripts/slurm/campaign.sbatch"));
    let verifier = Program::Verifier.command();
    command
        .current_dir(folder)
        .env("VERIFIER", Program::Verifier.path());
    for (name, value) in verifier
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)))
    {
        command.env(name, value);
    }
    command
        .arg(SHARDS.to_string())
        .arg(bundle)
        .args(flags(out, Some(folder)));
    let said = run(&mut command).expect_status(0).stdout;
    let (_, rest) = said.split_once("are job ").expect("the array's number");
    rest.split(',').next().expect("a number").to_owned()
}

fn logs(folder: &Path) -> String {
    let files = fs::read_dir(folder)
        .expect("a folder")
        .map(|file| file.expect("an entry").path());
    let mut logs: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|end| end == "log"))
        .collect();
    logs.sort();
    let text = |log: &PathBuf| {
        let text = fs::read_to_string(log).unwrap_or_default();
        format!("--- {}\n{text}", log.display())
    };
    logs.iter().map(text).collect()
}

#[test]
fn a_killed_task_a_lost_node_and_a_lack_of_time_leave_no_trace_in_the_reports() {
    let Some(slurm) = Slurm::start() else { return };
    let folder = scratch();
    let bundle = tiny_bundle(folder.path());
    let [alone, array] = ["alone", "array"].map(|name| folder.path().join(name));
    let job = submit(&slurm, folder.path(), &bundle, &array);
    let state = || format!("{}\n{}", slurm.state(), logs(folder.path()));

    wait_until("outcomes of three shards", &state, &|| {
        (1..=3).all(|shard| written(&array, shard) > 0)
    });
    let node = slurm.node_of(&format!("{job}_2"));
    assert!(
        !node.is_empty(),
        "shard 2 has ended before its node is lost\n{}",
        state()
    );
    // The program of the one and the node of the other go at once, without a word to either. The
    // lost node's task runs on, beside the one that Slurm starts in its place.
    slurm.kill_program_of(1);
    let warn = ["--batch", "--signal=USR1", &format!("{job}_3")];
    run(slurm.command("scancel").args(warn)).expect_status(0);
    slurm.script(&["node-kill"], &[&node]).expect_status(0);
    let down = [
        "update",
        &format!("node={node}"),
        "state=down",
        "reason=lost",
    ];
    run(slurm.command("scontrol").args(down)).expect_status(0);

    let merged = |name: &&str| folder.path().join(name).exists();
    wait_until("merged", &state, &|| REPORTS.iter().all(merged));
    let attempts = attempts(&array, 1);
    assert!(attempts >= 2, "{attempts} attempts\n{}", state());
    for (shard, said) in [(2, "are there already"), (3, "ended before the end")] {
        let log = folder.path().join(format!("campaign-{job}_{shard}.log"));
        let log = fs::read_to_string(log).expect("a log");
        assert!(
            log.contains(said),
            "shard {shard} did not say: {said}\n{log}"
        );
    }

    let plain = scratch();
    let mut command = Program::Verifier.command();
    command
        .args(["campaign", "run"])
        .arg(&bundle)
        .args(flags(&alone, Some(plain.path())));
    run(&mut command).expect_status(0);
    for name in REPORTS {
        let [array, alone] = [folder.path(), plain.path()].map(|folder| folder.join(name));
        let same = fs::read(array).expect("a report") == fs::read(alone).expect("a report");
        assert!(same, "{name} differs\n{}", state());
    }
}
