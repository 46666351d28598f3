//! Ingest as a user sees it: what comes out of good and bad rows.

mod damaged;
mod fusion;
mod incremental;
mod ingest;
mod quality;
