//! How long the allocator keeps what was freed; one of the pages of this room that are `unsafe`.
#![expect(unsafe_code, reason = "the allocator is C, and so are its options")]
use libmimalloc_sys::{mi_option_get, mi_option_set, mi_option_t};

/// `mi_option_purge_delay`, in milliseconds.
const PURGE_DELAY: mi_option_t = 15;
/// Its default.
const DEFAULT: std::ffi::c_long = 1_000;
const A_MINUTE: std::ffi::c_long = 60_000;

/// Keeps freed memory for a minute instead of a second. A training step frees what the next one takes: on a CPU, where steps
/// take seconds, giving it back in between costs a fifth of the time. Call it before there is another thread. Another value of
/// `MIMALLOC_PURGE_DELAY` stands; the default cannot be told from one that was set.
pub fn keep_freed_memory() {
    // SAFETY: both functions read and write one number; no other thread is there to read it meanwhile, by the contract above.
    unsafe {
        if mi_option_get(PURGE_DELAY) == DEFAULT {
            mi_option_set(PURGE_DELAY, A_MINUTE);
        }
    }
}
