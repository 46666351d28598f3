//! What are the nouns? Plain types that every room speaks of; no I/O, no async.

mod artifact;
mod diagnostic;
mod error_class;
mod fingerprint;
mod key_hasher;
mod manifest;
mod many_digests;
mod rank;
mod release;
mod secret;
mod split;
pub mod table;

pub use artifact::{ArtifactKey, ArtifactKind};
pub use diagnostic::{Diagnostic, Location, closest};
pub use error_class::ErrorClass;
pub use fingerprint::{Fingerprint, FingerprintBuilder, short_digest, short_hash};
pub use key_hasher::{KeyHasher, KeyHashing};
pub use manifest::{FileEntry, MANIFEST_VERSION, Manifest};
pub use many_digests::many_digests;
pub use rank::{best_rank, rank, top_k};
pub use release::{RELEASE_VERSION, Release};
pub use secret::{Secret, conceal, conceal_always};
pub use split::{ItemKind, Split};
