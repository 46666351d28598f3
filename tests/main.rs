//! The one test binary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cli;
mod contract;
mod golden;
mod pipeline;
mod property;
mod receiver;
mod support;
mod tidy;
