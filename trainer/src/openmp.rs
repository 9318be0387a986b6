//! How libtorch's threads wait for one another.

use std::env;
use std::io;

/// Turns of the loop in which a thread waits for work before it sleeps; the library's own default is 300,000. With that and
/// another program on the same two cores (Zen 4), `nano` trained at 134 images a second, with this at 1,200 to 1,300.
const SPIN_COUNT: &str = "10000";
/// Read by GNU OpenMP's library when it is loaded.
const VARIABLE: &str = "GOMP_SPINCOUNT";

/// Starts the program again, in the same process, with threads that do not wait for long in a busy loop; does nothing when
/// that is done, or when the user has said how threads are to wait. The library reads its settings before `main`, so
/// nothing less will do.
pub fn wait_briefly() {
    #[cfg(target_os = "linux")]
    if env::var_os(VARIABLE).is_none() && env::var_os("OMP_WAIT_POLICY").is_none() {
        use std::os::unix::process::CommandExt as _;
        let arguments: Vec<_> = env::args_os().collect();
        if let (Ok(program), Some((name, rest))) = (env::current_exe(), arguments.split_first()) {
            // Comes back only when it fails, and then training works as well, if slower.
            let _: io::Error =
                std::process::Command::new(program).arg0(name).args(rest).env(VARIABLE, SPIN_COUNT).exec();
        }
    }
}
