//! One suite, run for every implementation.

mod formats;
mod source;
mod store;
