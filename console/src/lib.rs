//! What the three programs share as processes: what they print, how they are told to stop, how they
//! end, and the machine they run on.
//!
//! | module | owns |
//! |---|---|
//! | [`lines`] | lines of result and of log; [`say!`] and [`note!`] |
//! | [`progress`] | how far long work is |
//! | [`signals`] | being told to stop |
//! | [`arguments`] | what a program is called with |
//! | [`exit`] | the end of `main` |
//! | [`digits`] | how large numbers are written |
//! | [`threads`] | how many threads, and whether the system gives them |
//! | [`host`] | the machine, as reports name it |

pub mod arguments;
pub mod digits;
pub mod exit;
pub mod host;
pub mod lines;
pub mod progress;
pub mod signals;
pub mod threads;

pub use arguments::{check_arguments, print_usage_error};
pub use digits::grouped;
pub use exit::exit_code;
pub use host::Host;
pub use lines::{ensure_printed, one_line, print_result, printable};
pub use progress::Progress;
pub use signals::{resumable_stop_flag, stop_flag, survive_file_size_limit};
pub use threads::{check_threads, threads_to_use};
