//! Whether a server keeps the one promise that publishing rests on: of several create-only writes, one succeeds.
use std::fmt;

use super::{Backend, Store, StoreError, new_nonce};

const WRITERS: usize = 8;
/// A server that is not atomic may win several races by luck, the more the busier the machine is.
const RACES: usize = 8;

/// What a server makes of create-only writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// Exactly one writer succeeds.
    Atomic,
    /// A second write is refused once the first is done, but of writers at the same time several succeed.
    Racy { winners: usize },
    /// The condition has no effect.
    Ignored,
}

impl ConditionalWrites {
    /// An error where publishing could not be relied on.
    pub fn require(store: &Store) -> Result<(), StoreError> {
        match Self::of(store)? {
            Self::Atomic => Ok(()),
            found => Err(StoreError::WeakStore { url: store.url().to_owned(), found: found.to_string() }),
        }
    }

    /// Tries it out below `probe/`, which is empty again afterwards. A local folder needs no trial: a hard link fails if
    /// its name exists.
    pub fn of(store: &Store) -> Result<Self, StoreError> {
        let Backend::Remote(remote) = &store.backend else {
            return Ok(Self::Atomic);
        };
        let mut verdict = Self::Atomic;
        for _ in 0..RACES {
            let key = format!("probe/{}", new_nonce()?);
            let winners = remote.race(&key, WRITERS)?;
            // Whoever comes after the race has to be refused in any case.
            let late = remote.race(&key, 1)?;
            remote.remove(&key)?;
            verdict = match (winners, late) {
                (_, 1) => Self::Ignored,
                (0 | 1, _) => verdict,
                (winners, _) => Self::Racy { winners },
            };
            if verdict != Self::Atomic {
                break;
            }
        }
        Ok(verdict)
    }
}

impl fmt::Display for ConditionalWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atomic => f.write_str("create-only writes are atomic"),
            Self::Racy { winners } => {
                write!(f, "create-only writes are not atomic ({winners} of {WRITERS} writers won)")
            }
            Self::Ignored => f.write_str("create-only writes are ignored by the server"),
        }
    }
}
