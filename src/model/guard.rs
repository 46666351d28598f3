//! What a device cannot do is an error: its back end panics, out of memory for one, deep inside and on threads of its own.
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::ModelError;

/// The result of work on a device; what it panics with becomes the first line of `ModelError::Device`.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let reason = words.unwrap_or("its back end gave up").lines().next().unwrap_or_default().to_owned();
        Err(ModelError::Device { reason })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ErrorClass;

    #[test]
    fn a_back_end_that_gives_up_is_an_error_that_can_be_tried_again() {
        let memory = guarded::<()>(|| panic!("out of memory: {} bytes\nstack", 1u64 << 40)).unwrap_err();
        assert!(memory.to_string().contains("out of memory: 1099511627776 bytes"), "{memory}");
        assert!(!memory.to_string().contains("stack"), "{memory}");
        assert_eq!(memory.class(), ErrorClass::Temporary);
        assert_eq!(guarded(|| Ok(3)).unwrap(), 3);
    }
}
