//! Workers that are lost, and what is caused on purpose.

use tests::{Program, run, scratch, tiny_bundle};

use super::started::{Watch, is_gone};
use super::{HOURS, of_kind, watch_that_hangs, workers};

#[test]
fn a_lost_worker_is_a_due_and_the_watch_goes_on() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let mut started = Watch::at_work(&mut watch_that_hangs(&bundle, &log, HOURS, 6.0), &log);
    let lost = [("-ILL", "crash"), ("-KILL", "killed"), ("-STOP", "hang")];
    for (number, (how, _)) in (2..).zip(lost) {
        started.signal_worker(how);
        started.wait_for_worker(number);
    }
    let over = started.stop();
    assert_eq!(over.status, Some(1), "{}", over.stderr);
    let kinds: Vec<_> = of_kind(&log, "due")
        .iter()
        .map(|due| due["kind"].clone())
        .collect();
    assert_eq!(kinds, lost.map(|(_, kind)| kind));
    assert!(workers(&log).into_iter().all(is_gone));
}

#[test]
fn a_rehearsal_is_accounted_for() {
    let folder = scratch();
    let (bundle, log) = (tiny_bundle(folder.path()), folder.path().join("log"));
    let golden = folder.path().join("golden");
    let mut record = Program::Verifier.command();
    record.arg("record").arg(&bundle).args(["--device", "cpu"]);
    record.args(["--threads", "1"]);
    run(record.arg("--golden").arg(&golden))
        .expect_status(0)
        .says("gave the same bits");
    let mut command = watch_that_hangs(&bundle, &log, 30.0, 6.0);
    command.args(["--rehearse", "--rehearse-every", "0.5"]);
    let ended = run(command.arg("--golden").arg(&golden));
    let ended = ended
        .expect_status(0)
        .says("PASS: the log accounts for all");
    assert!(of_kind(&log, "rehearsed").len() > 3, "{ended}");
}
