//! The vector side.

mod exact;

pub use exact::{ExactIndex, write_vectors};
