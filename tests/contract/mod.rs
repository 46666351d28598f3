//! One suite, run for every implementation.

mod store;
