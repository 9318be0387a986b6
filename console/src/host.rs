//! The machine a run is on, as reports and calibrations name it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// The processor's own name.
    pub cpu: String,
    /// Processors this process may use.
    pub cores: usize,
}

impl Host {
    /// The machine this process is on.
    pub fn this() -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            cpu: cpu_name(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The processor's own name as Linux tells it; `unknown` where it does not.
pub fn cpu_name() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    name_in(&text).unwrap_or("unknown").to_owned()
}

/// x86 has `model name` for every core, many ARM boards have `Model` for the board.
fn name_in(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name") || line.starts_with("Model"))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_first_core_s_or_the_board_s() {
        let x86 =
            "processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9R14\nmodel name\t: other\n";
        assert_eq!(name_in(x86), Some("AMD EPYC 9R14"));
        let board = "processor\t: 0\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n";
        assert_eq!(name_in(board), Some("Raspberry Pi 5 Model B Rev 1.0"));
        assert_eq!(name_in("processor\t: 0\n"), None);
    }
}
