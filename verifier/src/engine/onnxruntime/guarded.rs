//! Calls into the runtime through `ort`, which panics where a library breaks its own rules: a null
//! pointer for an output, for example. Here that is an error like any other.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls the runtime; a panic becomes the reason why it could not be used.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_GUARDED.get() {
                print(info);
            }
        }));
    });
    IS_GUARDED.set(true);
    // What a panic leaves half done is not used again: the caller gives the session up.
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    IS_GUARDED.set(false);
    result.map_err(|payload| {
        let reason = reason(payload.as_ref());
        format!("the runtime broke a rule of its interface: {reason}")
    })
}

fn reason(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason is known")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_reason() {
        assert_eq!(guarded(|| 1), Ok(1));
        let reason = guarded(|| panic!("null for output {}", 2)).expect_err("a panic");
        assert!(reason.ends_with("null for output 2"), "{reason}");
    }
}
