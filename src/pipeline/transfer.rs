//! Progress while files move between this machine and an object store.
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::stage::Monitor;
use crate::store::{Store, Traffic};

const LOOK: Duration = Duration::from_millis(50);

/// Does `work` and shows what one counter of the store's traffic gains meanwhile. A local store moves nothing.
pub fn watch<T>(
    store: &Store,
    monitor: &dyn Monitor,
    title: &str,
    total: Option<u64>,
    counter: impl Fn(&Traffic) -> u64 + Sync,
    work: impl FnOnce() -> T,
) -> T {
    if store.is_local() {
        return work();
    }
    let traffic = store.traffic();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut shown = counter(traffic);
            let mut progress = None;
            while !done.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK);
                let moved = counter(traffic);
                if moved > shown {
                    progress.get_or_insert_with(|| monitor.begin(title, total, "bytes")).advance(moved - shown);
                    shown = moved;
                }
            }
        });
        let _raise = Raise(&done);
        work()
    })
}

/// Raises a flag when it goes, however the work beside it ended.
pub struct Raise<'a>(pub &'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bytes of all files below a folder.
pub fn folder_bytes(folder: &Path) -> Option<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let metadata = entry.metadata().ok()?;
        total += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Some(total)
}
