//! The program as a user meets it: commands, exit codes, what is printed.

mod check;
mod encode;
mod metrics;
mod model;
mod recipe;
mod releases;
mod resume;
mod run;
mod score;
mod search;
mod secrets;
mod telemetry;
mod serve;
mod shard;
