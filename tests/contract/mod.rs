//! One suite, run for every implementation.

mod formats;
mod publishing;
mod source;
mod shards;
mod store;
