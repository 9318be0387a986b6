//! Whether the log of a rehearsal accounts for all that was done on purpose.

use std::path::Path;

use anyhow::{Result, ensure};
use console::say;
use verifier::report::Verdict;
use verifier::report::table::table;
use verifier::watch::log::LogReader;
use verifier::watch::rehearsal::Accounts;

pub(super) fn account(folder: &Path) -> Result<Verdict> {
    let mut accounts = Accounts::default();
    let mut reader = LogReader::open(folder)?;
    while let Some(entry) = reader.next_entry()? {
        accounts.add(&entry);
    }
    accounts.finish();
    ensure!(
        accounts.is_any(),
        "nothing was caused in this time\n\
         hint: a longer watch, or a smaller --rehearse-every"
    );
    let row = |(kind, done): (&String, &[u64; 2])| {
        let [caused, found] = done.map(|count| count.to_string());
        vec![kind.clone(), caused, found]
    };
    let rows = accounts.kinds.iter().map(row).collect();
    say!(
        "\n{}",
        table(&["caused", "times", "in the log, in its class, once"], rows).trim_end()
    );
    for wrong in &accounts.wrong {
        say!("wrong        {wrong}");
    }
    let never = accounts.never_caused();
    if !never.is_empty() {
        say!("never caused {}", never.join(", "));
    }
    let is_pass = accounts.is_pass();
    say!(
        "verdict      {}",
        match is_pass {
            true => "PASS: the log accounts for all that was caused, and for nothing else",
            false => "FAIL: the log does not account for all that was caused",
        }
    );
    Ok(if is_pass {
        Verdict::Pass
    } else {
        Verdict::Fail
    })
}
