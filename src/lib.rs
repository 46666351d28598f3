//! tuwen: from raw Chinese image-text pairs to a measured, searchable, published index.
//!
//! The order of the rooms below is the dependency order: a room imports only rooms above it.
#![recursion_limit = "256"]

/// Batches are made and dropped all day; the system's allocator gives their pages back each time and takes new ones.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod data;
pub mod model;
pub mod store;
pub mod stage;
pub mod ingest;
pub mod augment;
pub mod train;
pub mod embed;
pub mod index;
pub mod evaluate;
pub mod report;
pub mod pipeline;
pub mod cli;
