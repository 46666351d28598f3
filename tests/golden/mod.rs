//! Numbers that the reference implementation produced; see README.md in this folder.

mod analyzer;
mod augment;
mod auto_augment;
mod files;
mod fusion;
mod jpeg;
mod metrics;
mod model;
mod tokenizer;
mod training;
mod zoo;

use std::path::PathBuf;

/// A file of this folder.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}
