//! How libtorch's threads wait for one another, and how the C library hands out memory.

use std::env;
use std::io;

/// Turns of the loop in which a thread waits for work before it sleeps; the library's own default
/// is 300,000. With that and another program on the same two cores (Zen 4), `nano` trained at 134
/// images a second, with this at 1,200 to 1,300.
const SPIN_COUNT: &str = "10000";
/// Read by GNU OpenMP's library when it is loaded.
const SPIN_VARIABLE: &str = "GOMP_SPINCOUNT";
/// Where a user says the same in another way.
const WAIT_POLICY_VARIABLE: &str = "OMP_WAIT_POLICY";

/// Memory in large pages, kept for the next step instead of given back: a step of training asks for
/// the same tensors again and again. On the same machine `nano` trained at 824 images a second with
/// this and at 714 without: medians of three alternating runs of six epochs, which varied by a
/// tenth. 32 MiB is the largest threshold that the library takes.
const MEMORY: &str = "glibc.malloc.hugetlb=1:\
                      glibc.malloc.mmap_threshold=33554432:\
                      glibc.malloc.trim_threshold=4294967296";
/// Read by the GNU C library when a program starts; others do not know it.
const MEMORY_VARIABLE: &str = "GLIBC_TUNABLES";

/// Starts the program again, in the same process, with the settings above; does nothing when that
/// is done, and leaves alone what the user has set. The libraries read their settings before
/// `main`, so nothing less will do.
pub fn restart_with_settings() {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt as _;
        let settings = missing_settings();
        let arguments: Vec<_> = env::args_os().collect();
        if let (false, Ok(program), Some((name, rest))) = (
            settings.is_empty(),
            env::current_exe(),
            arguments.split_first(),
        ) {
            // Comes back only when it fails, and then training works as well, if slower.
            let _: io::Error = std::process::Command::new(program)
                .arg0(name)
                .args(rest)
                .envs(settings)
                .exec();
        }
    }
}

/// An error if the system refuses the threads that a command will want: a pool of its own and one
/// of libtorch's, each with a thread a core, one for signals and one for progress. A library that
/// is refused a thread would end the process.
pub fn check_threads() -> io::Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    console::check_threads(Some(2 * cores + 2))
}

/// The settings that neither the user nor an earlier start of this program has made.
#[cfg(target_os = "linux")]
fn missing_settings() -> Vec<(&'static str, &'static str)> {
    let is_set = |variable: &str| env::var_os(variable).is_some();
    let mut settings = Vec::new();
    if !is_set(SPIN_VARIABLE) && !is_set(WAIT_POLICY_VARIABLE) {
        settings.push((SPIN_VARIABLE, SPIN_COUNT));
    }
    if !is_set(MEMORY_VARIABLE) {
        settings.push((MEMORY_VARIABLE, MEMORY));
    }
    settings
}
