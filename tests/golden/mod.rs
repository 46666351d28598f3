//! Numbers that the reference implementation produced; see README.md in this folder.

mod augment;
mod auto_augment;
mod jpeg;
mod model;
mod tokenizer;
mod training;
mod zoo;

use std::path::PathBuf;

/// A file of this folder.
fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}
