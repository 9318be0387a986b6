//! JUnit XML: a test case for the run itself, one for each output, and one for each fault.

use std::io;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::check::Check;
use super::record::{Record, Verdict};
use crate::check::{FaultOutcome, FaultResult, OutputResult};

/// The document of a check.
pub(super) fn document(record: &Record<Check>) -> io::Result<String> {
    let Check {
        options, result, ..
    } = &record.body;
    let mut suite = TestSuite::new(format!("{} on {}", options.part, options.computed_by()));
    add_properties(&mut suite, record);
    suite.add_test_case(of_run(record));
    if let Some(result) = result {
        for output in &result.outputs {
            suite.add_test_case(of_output(output, record));
        }
        for fault in &result.faults {
            suite.add_test_case(of_fault(fault, record.verdict));
        }
    }
    let mut document = Document::new("vit-part verifier");
    document.add_test_suite(suite);
    document.to_string().map_err(io::Error::other)
}

fn add_properties(suite: &mut TestSuite, record: &Record<Check>) {
    let Check {
        options, runtime, ..
    } = &record.body;
    suite.add_property(("bundle", options.bundle.display().to_string().as_str()));
    if let Some(runtime) = runtime {
        suite.add_property(("runtime", runtime.library.version.as_str()));
        suite.add_property(("runtime_sha256", runtime.library.sha256.as_str()));
        suite.add_property(("provider", runtime.provider.as_str()));
    }
    if let Some(bundle) = &record.bundle {
        suite.add_property(("bundle_blake3", bundle.blake3.as_str()));
    }
}

fn of_run(record: &Record<Check>) -> TestCase {
    let status = match &record.error {
        Some(error) => failure(NonSuccessKind::Error, error),
        None => TestCaseStatus::success(),
    };
    let mut case = TestCase::new("the check ran to its end", status);
    if let Some(result) = &record.body.result {
        let seconds = result.seconds.running + result.seconds.comparing;
        case.set_time(Duration::from_secs_f64(seconds));
    }
    case
}

fn of_output(output: &OutputResult, record: &Record<Check>) -> TestCase {
    let expects_faults = record.body.options.expect_detected;
    let outside = output.outside();
    let status = if outside == 0 || (expects_faults && record.verdict == Verdict::Pass) {
        TestCaseStatus::success()
    } else {
        let elements = output.elements;
        let message = format!("{outside} of {elements} elements are outside the tolerance");
        failure(NonSuccessKind::Failure, &message)
    };
    let expected = if expects_faults {
        "is within the tolerance but for faults"
    } else {
        "is within the tolerance"
    };
    let name = output.name.as_deref().unwrap_or_default();
    TestCase::new(format!("output {name} {expected}"), status)
}

fn of_fault(fault: &FaultResult, verdict: Verdict) -> TestCase {
    let status = match fault.outcome {
        FaultOutcome::Missed if verdict != Verdict::Pass => {
            let (flagged, beyond) = (fault.samples_flagged, fault.samples_beyond);
            let message = format!("{flagged} of {beyond} samples were flagged");
            failure(NonSuccessKind::Failure, &message)
        }
        // The check ended before its sample was run.
        FaultOutcome::NotReached => TestCaseStatus::skipped(),
        _ => TestCaseStatus::success(),
    };
    TestCase::new(format!("fault {} is not missed", fault.fault), status)
}

fn failure(kind: NonSuccessKind, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message);
    status
}
