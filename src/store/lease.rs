//! One run of a pipeline at a time. A lease saves wasted work and no more: what may be published is decided by the
//! create-only release alone, whatever clocks and leases say.
use std::fs::{self, File, TryLockError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::release::numbered;
use super::seal::{read_json, to_json};
use super::{Backend, Created, Store, StoreError, new_nonce};

/// Seconds since 1970.
pub type Clock = fn() -> u64;

/// Seconds that a lease in an object store holds without a sign of life.
const HOLD_SECONDS: u64 = 90;
/// Time between two signs of life.
const RENEW: Duration = Duration::from_secs(20);
/// How often a renewing thread looks whether it should end.
const TICK: Duration = Duration::from_millis(100);

/// Who wants the lease.
#[derive(Debug, Clone)]
pub struct LeaseHolder {
    pub run_id: String,
    /// Machine and process, for people and to see whether the holder still lives.
    pub host: String,
    pub process: u32,
    pub clock: Clock,
}

/// A pipeline's lease. In a local store it is a file lock, which ends with the process.
#[derive(Debug)]
pub struct Lease<'a> {
    store: &'a Store,
    held: Held,
}

#[derive(Debug)]
enum Held {
    File(#[expect(dead_code, reason = "the lock lives as long as the open file")] File),
    Object { key: String, prefix: String, record: Record, clock: Clock },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    /// Always `Lease`.
    kind: String,
    version: u32,
    run_id: String,
    host: String,
    process: u32,
    /// Seconds since 1970 by the holder's clock.
    expires: u64,
    nonce: String,
}

impl<'a> Lease<'a> {
    /// Takes the lease, or says who holds it (`StoreError::Held`).
    pub fn take(store: &'a Store, pipeline: &str, holder: &LeaseHolder) -> Result<Self, StoreError> {
        match &store.backend {
            Backend::Local(local) => {
                let path = local.path(&format!("leases/{pipeline}.lock"));
                let folder = local.path("leases");
                fs::create_dir_all(&folder).map_err(StoreError::io(&folder))?;
                let file = File::options().create(true).append(true).open(&path).map_err(StoreError::io(&path))?;
                match file.try_lock() {
                    Ok(()) => Ok(Self { store, held: Held::File(file) }),
                    Err(TryLockError::WouldBlock) => {
                        Err(StoreError::Held { pipeline: pipeline.to_owned(), by: "another process".to_owned() })
                    }
                    Err(TryLockError::Error(error)) => Err(StoreError::io(&path)(error)),
                }
            }
            Backend::Remote(_) => Self::take_object(store, pipeline, holder),
        }
    }

    fn take_object(store: &'a Store, pipeline: &str, holder: &LeaseHolder) -> Result<Self, StoreError> {
        let prefix = format!("leases/{pipeline}");
        let newest = store.list(&prefix)?.pop();
        if let Some(key) = &newest
            && let Some(record) = read_json::<Record>(store, key)?
            && record.lives(holder)
        {
            let by = format!("run {} on {} (process {})", record.run_id, record.host, record.process);
            return Err(StoreError::Held { pipeline: pipeline.to_owned(), by });
        }
        let number = newest.as_deref().and_then(numbered).unwrap_or(0) + 1;
        let key = format!("{prefix}/{number:020}.json");
        let record = Record {
            kind: "Lease".to_owned(),
            version: 1,
            run_id: holder.run_id.clone(),
            host: holder.host.clone(),
            process: holder.process,
            expires: (holder.clock)() + HOLD_SECONDS,
            nonce: new_nonce()?,
        };
        match store.create(&key, &to_json(&key, &record)?)? {
            Created::Ours => {
                // Older ones are over; they need not pile up.
                newest.iter().try_for_each(|older| store.remove(older))?;
                Ok(Self { store, held: Held::Object { key, prefix, record, clock: holder.clock } })
            }
            Created::Taken => Err(StoreError::Held { pipeline: pipeline.to_owned(), by: "another run".to_owned() }),
        }
    }

    /// Whether nobody took the lease over meanwhile.
    pub fn is_ours(&self) -> Result<bool, StoreError> {
        match &self.held {
            Held::File(_) => Ok(true),
            Held::Object { key, prefix, .. } => Ok(self.store.list(prefix)?.last() == Some(key)),
        }
    }

    /// Gives signs of life until `end`. Whoever cannot reach the store loses the lease, which is no error by itself.
    pub fn keep(&self, end: &AtomicBool) {
        let Held::Object { key, record, clock, .. } = &self.held else { return };
        let mut waited = Duration::ZERO;
        while !end.load(Ordering::Relaxed) {
            std::thread::sleep(TICK);
            waited += TICK;
            if waited >= RENEW {
                waited = Duration::ZERO;
                let record = Record { expires: clock() + HOLD_SECONDS, ..record.clone() };
                if let (Ok(true), Ok(json)) = (self.is_ours(), to_json(key, &record)) {
                    let _ = self.store.replace(key, &json);
                }
            }
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Held::Object { key, record, .. } = &self.held {
            // It stays as a number, so that the next one is higher, and is over at once. If that fails it ends by itself; one
            // that was taken over is gone and must not come back.
            if let (Ok(true), Ok(json)) = (self.is_ours(), to_json(key, &Record { expires: 0, ..record.clone() })) {
                let _ = self.store.replace(key, &json);
            }
        }
    }
}

impl Record {
    /// Whether the holder may still be at work, as far as `other` can tell.
    fn lives(&self, other: &LeaseHolder) -> bool {
        let here = self.host == other.host;
        let process_ended = here && !fs::exists(format!("/proc/{}", self.process)).unwrap_or(true);
        (other.clock)() < self.expires && !process_ended
    }
}
