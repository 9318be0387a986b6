//! JUnit XML: a test case for the run itself, one for each output, and one for each fault.

use std::io;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::{FaultReport, OutputReport, Report};
use crate::verdict::Fate;

pub(super) fn document(report: &Report) -> io::Result<String> {
    let mut document = Document::new("vit-part verifier");
    let mut suite = TestSuite::new(format!(
        "{} on {}",
        report.options.part, report.options.target.device
    ));
    suite.add_property((
        "bundle",
        report.options.bundle.display().to_string().as_str(),
    ));
    if let Some(runtime) = &report.runtime {
        suite.add_property(("runtime", runtime.library.version.as_str()));
        suite.add_property(("runtime_sha256", runtime.library.sha256.as_str()));
        suite.add_property(("provider", runtime.provider.as_str()));
    }
    if let Some(bundle) = &report.heading.bundle {
        suite.add_property(("bundle_blake3", bundle.blake3.as_str()));
    }
    let mut ran = TestCase::new(
        "the check ran to its end",
        match &report.heading.error {
            Some(error) => failure(NonSuccessKind::Error, error),
            None => TestCaseStatus::success(),
        },
    );
    if let Some(result) = &report.result {
        ran.set_time(Duration::from_secs_f64(
            result.seconds.running + result.seconds.comparing,
        ));
    }
    suite.add_test_case(ran);
    if let Some(result) = &report.result {
        for output in &result.outputs {
            suite.add_test_case(of_output(output, report));
        }
        for fault in &result.faults {
            suite.add_test_case(of_fault(fault));
        }
    }
    document.add_test_suite(suite);
    document.to_string().map_err(io::Error::other)
}

fn of_output(output: &OutputReport, report: &Report) -> TestCase {
    let outside = output.mismatched_elements + output.non_finite_elements;
    let status = match outside {
        0 => TestCaseStatus::success(),
        _ if report.options.expect_detected && report.heading.verdict == "pass" => {
            TestCaseStatus::success()
        }
        _ => failure(
            NonSuccessKind::Failure,
            &format!(
                "{outside} of {} elements are outside the tolerance",
                output.elements
            ),
        ),
    };
    let expected = match report.options.expect_detected {
        true => "is within the tolerance but for faults",
        false => "is within the tolerance",
    };
    TestCase::new(
        format!(
            "output {} {expected}",
            output.name.as_deref().unwrap_or_default()
        ),
        status,
    )
}

fn of_fault(fault: &FaultReport) -> TestCase {
    let status = match fault.fate {
        Fate::Missed => failure(
            NonSuccessKind::Failure,
            &format!(
                "{} of {} samples were flagged",
                fault.samples_flagged, fault.samples_beyond
            ),
        ),
        Fate::Detected | Fate::Masked => TestCaseStatus::success(),
    };
    TestCase::new(format!("fault {} is not missed", fault.fault), status)
}

fn failure(kind: NonSuccessKind, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message);
    status
}
