//! Publishing, leases, tags and garbage on every kind of store, and on stores that answer wrongly.
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tuwen::data::ArtifactKey;
use tuwen::store::{
    ConditionalWrites, Created, GarbageOptions, Lease, LeaseHolder, Publication, Store, StoreError, StoreOptions,
    collect_garbage, latest_release, numbered_release, open_artifact, publish, read_manifest, set_tag, tagged_releases,
    was_collected,
};

use super::store::{artifact, on_every_store, publish_next, sealed};

/// What a faulty server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Every n-th write lands and answers with an error.
    ErrorAfterSuccess(usize),
    /// Every n-th request of any kind fails and does nothing.
    Error(usize),
    /// The first write and the first removal fail and do nothing.
    FirstFails,
    /// Conditions of writes are ignored.
    IgnoresConditions,
}

/// A store in memory with a fault.
#[derive(Debug)]
struct FaultStore {
    inner: InMemory,
    fault: Fault,
    requests: AtomicUsize,
    removals: AtomicUsize,
}

impl FaultStore {
    fn open(fault: Fault, cache: &Path) -> Store {
        let objects = Arc::new(Self {
            inner: InMemory::new(),
            fault,
            requests: AtomicUsize::new(0),
            removals: AtomicUsize::new(0),
        });
        Store::of_objects("s3://faulty", objects, StoreOptions::cached_in(cache)).unwrap()
    }

    fn broken() -> object_store::Error {
        object_store::Error::Generic { store: "faulty", source: "503 SlowDown".into() }
    }

    /// Counts a request; true if it is the one that goes wrong.
    fn is_hit(&self, every: usize) -> bool {
        let request = self.requests.fetch_add(1, Ordering::Relaxed) as u64 + 1;
        // Spread, so that no fixed sequence of requests meets the same fault for ever.
        let mut mixed = request.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 27;
        every == 1 || mixed.is_multiple_of(every as u64)
    }

    fn before(&self) -> Result<()> {
        match self.fault {
            Fault::Error(every) if self.is_hit(every) => Err(Self::broken()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(&self, key: &Key, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        self.before()?;
        if self.fault == Fault::FirstFails && self.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(Self::broken());
        }
        if self.fault == Fault::IgnoresConditions {
            options.mode = PutMode::Overwrite;
        }
        let done = self.inner.put_opts(key, payload, options).await;
        match self.fault {
            Fault::ErrorAfterSuccess(every) if self.is_hit(every) => Err(Self::broken()),
            _ => done,
        }
    }

    async fn put_multipart_opts(&self, key: &Key, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.before()?;
        self.inner.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.before()?;
        self.inner.get_opts(key, options).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        if self.fault == Fault::FirstFails && self.removals.fetch_add(1, Ordering::Relaxed) == 0 {
            return Box::pin(futures::stream::iter([Err(Self::broken())]));
        }
        self.inner.delete_stream(keys)
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn one(name: &str) -> BTreeMap<String, ArtifactKey> {
    BTreeMap::from([("data".to_owned(), artifact(name))])
}

fn holder(run_id: &str, clock: fn() -> u64) -> LeaseHolder {
    LeaseHolder { run_id: run_id.to_owned(), host: "here".to_owned(), process: std::process::id(), clock }
}

#[test]
fn an_answer_lost_after_a_write_that_landed_is_no_failure_and_no_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let store = FaultStore::open(Fault::ErrorAfterSuccess(1), folder.path());
    assert_eq!(store.create("a", b"ours").unwrap(), Created::Ours);
    assert_eq!(store.create("a", b"theirs").unwrap(), Created::Taken);
    assert_eq!(publish_next(&store, "p", &one("x")), (1, true));
    assert_eq!(publish_next(&store, "p", &one("y")), (2, true));
}

#[test]
fn what_did_not_land_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = FaultStore::open(Fault::FirstFails, folder.path());
    assert_eq!(store.create("a", b"ours").unwrap(), Created::Ours);
    assert_eq!(store.create("a", b"theirs").unwrap(), Created::Taken);
    store.remove("a").unwrap();
    assert_eq!(store.read("a").unwrap(), None);
    let store = FaultStore::open(Fault::FirstFails, folder.path());
    assert_eq!(ConditionalWrites::of(&store).unwrap(), ConditionalWrites::Atomic);
}

#[test]
fn a_request_that_fails_stops_the_work_and_the_same_work_again_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let good = FaultStore::open(Fault::ErrorAfterSuccess(usize::MAX), &folder.path().join("good"));
    let key = sealed(&good, "x");
    let expected = read_manifest(&good, &key).unwrap().unwrap().files;
    for every in 3..10 {
        let store = FaultStore::open(Fault::Error(every), &folder.path().join(every.to_string()));
        let mut tries = 0;
        let manifest = loop {
            tries += 1;
            assert!(tries < 50, "every {every}th request");
            let work = folder.path().join(format!("work-{every}"));
            std::fs::create_dir_all(work.join("deep")).unwrap();
            std::fs::write(work.join("rows.txt"), "x").unwrap();
            std::fs::write(work.join("deep/more.txt"), "more").unwrap();
            let description = tuwen::store::Description::default();
            match tuwen::store::seal(&store, &work, &artifact("x"), description) {
                Ok(manifest) => break manifest,
                Err(error) => assert!(matches!(error, StoreError::Object { .. }), "{error}"),
            }
        };
        assert_eq!(manifest.files, expected);
    }
}

#[test]
fn a_server_that_ignores_conditions_is_found_out_and_the_others_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let weak = FaultStore::open(Fault::IgnoresConditions, folder.path());
    assert_eq!(ConditionalWrites::of(&weak).unwrap(), ConditionalWrites::Ignored);
    assert!(weak.list("probe").unwrap().is_empty(), "nothing is left behind");
    on_every_store(|store| assert_eq!(ConditionalWrites::of(store).unwrap(), ConditionalWrites::Atomic));
}

#[test]
fn whoever_planned_before_another_published_cannot_publish_over_it() {
    on_every_store(|store| {
        publish_next(store, "p", &one("old"));
        let late = Publication { pipeline: "p", artifacts: one("late"), base: 1, ..Publication::default() };
        publish_next(store, "p", &one("new"));
        let refused = publish(store, late).unwrap_err();
        assert!(matches!(refused, StoreError::Conflict { .. }), "{refused}");
        assert_eq!(latest_release(store, "p").unwrap().unwrap().artifacts, one("new"));
    });
}

#[test]
fn a_lease_is_held_by_one_and_free_again_when_it_ends() {
    on_every_store(|store| {
        let clock = || 1000;
        let first = Lease::take(store, "p", &holder("first", clock)).unwrap();
        assert!(matches!(Lease::take(store, "p", &holder("second", clock)), Err(StoreError::Held { .. })));
        Lease::take(store, "other", &holder("second", clock)).unwrap();
        assert!(first.is_ours().unwrap());
        drop(first);
        Lease::take(store, "p", &holder("second", clock)).unwrap();
    });
}

#[test]
fn a_silent_holder_loses_its_lease_and_learns_of_it_whatever_the_clock_did() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open("memory://", StoreOptions::cached_in(folder.path())).unwrap();
    let sleeper = Lease::take(&store, "p", &holder("sleeper", || 1000)).unwrap();
    let waker = Lease::take(&store, "p", &holder("waker", || 1_000_000)).unwrap();
    assert!(!sleeper.is_ours().unwrap() && waker.is_ours().unwrap());
    drop(sleeper);
    assert!(waker.is_ours().unwrap(), "what a fenced holder does at its end changes nothing");
}

#[test]
fn a_tag_names_the_release_it_was_last_given() {
    on_every_store(|store| {
        publish_next(store, "p", &one("a"));
        publish_next(store, "p", &one("b"));
        set_tag(store, "p", "good", 1).unwrap();
        set_tag(store, "p", "good", 2).unwrap();
        set_tag(store, "p", "first", 1).unwrap();
        let expected = BTreeMap::from([("good".to_owned(), 2), ("first".to_owned(), 1)]);
        assert_eq!(tagged_releases(store, "p").unwrap(), expected);
    });
}

#[test]
fn garbage_goes_after_its_grace_and_nothing_that_is_named_goes() {
    on_every_store(|store| {
        for name in ["old", "tagged", "current", "orphan"] {
            sealed(store, name);
        }
        for name in ["old", "tagged", "current"] {
            publish_next(store, "p", &one(name));
        }
        set_tag(store, "p", "keep", 2).unwrap();
        let release = |number| numbered_release(store, "p", number).unwrap().unwrap();
        let (read, tagged, current) = (release(1), release(2), release(3));
        assert!(!was_collected(store, &read).unwrap());
        let later = |days: u64, dry_run| GarbageOptions {
            releases: 1,
            runs: 0,
            grace: Duration::from_hours(1),
            now: SystemTime::now() + Duration::from_secs(86_400 * days),
            dry_run,
        };
        let marked = collect_garbage(store, &later(1, false), &|| Ok(())).unwrap();
        assert_eq!((marked.removed.len(), marked.waiting.len(), marked.live_artifacts), (0, 2, 2));
        let foretold = collect_garbage(store, &later(2, true), &|| Ok(())).unwrap();
        let removed = collect_garbage(store, &later(2, false), &|| Ok(())).unwrap();
        assert_eq!(foretold.removed, removed.removed, "a dry run says exactly what happens");
        assert_eq!(removed.removed.len(), 2);
        for (name, there) in [("old", false), ("orphan", false), ("tagged", true), ("current", true)] {
            assert_eq!(read_manifest(store, &artifact(name)).unwrap().is_some(), there, "{name}");
        }
        open_artifact(store, &artifact("current")).unwrap();
        assert!(was_collected(store, &read).unwrap());
        assert!(!was_collected(store, &tagged).unwrap());
        // What a current release lacks is damage.
        store.remove(&format!("{}/manifest.json", artifact("current").prefix())).unwrap();
        assert!(!was_collected(store, &current).unwrap());
        assert_eq!(latest_release(store, "p").unwrap().unwrap().number, 3);
    });
}

#[test]
fn a_tag_that_comes_while_garbage_goes_keeps_its_release_or_finds_it_gone() {
    on_every_store(|store| {
        for name in ["first", "second", "third"] {
            sealed(store, name);
            publish_next(store, "p", &one(name));
        }
        let options = |days: u64| GarbageOptions {
            releases: 1,
            runs: 0,
            grace: Duration::from_hours(1),
            now: SystemTime::now() + Duration::from_secs(86_400 * days),
            dry_run: false,
        };
        // After it was decided that release 1 goes, and before it does.
        let asked = Cell::new(false);
        let tag = || if asked.replace(true) { Ok(()) } else { set_tag(store, "p", "keep", 1) };
        let gone = collect_garbage(store, &options(1), &tag).unwrap();
        assert_eq!(gone.removed_releases, ["releases/p/00000000000000000002.json"]);
        assert!(matches!(set_tag(store, "p", "late", 2), Err(StoreError::Collected { release: 2, .. })));
        assert_eq!(tagged_releases(store, "p").unwrap(), BTreeMap::from([("keep".to_owned(), 1)]));
        collect_garbage(store, &options(2), &|| Ok(())).unwrap();
        assert_eq!(numbered_release(store, "p", 1).unwrap().unwrap().number, 1);
        assert!(read_manifest(store, &artifact("first")).unwrap().is_some());
        assert!(read_manifest(store, &artifact("second")).unwrap().is_none());
    });
}

#[test]
fn a_copy_that_nobody_uses_makes_room_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let open = |limit: Option<u64>| {
        let options = StoreOptions { cache_bytes: limit, ..StoreOptions::cached_in(folder.path()) };
        Store::of_objects("s3://bucket", Arc::clone(&objects), options).unwrap()
    };
    let store = open(None);
    let (first, second) = (sealed(&store, "first"), sealed(&store, "second"));
    drop(store);
    let copy = |key: &ArtifactKey| folder.path().join("objects").join(key.prefix()).join("rows.txt");
    assert!(copy(&first).exists(), "what was made here is its own copy");
    std::fs::remove_file(copy(&second)).unwrap();
    let store = open(Some(1));
    open_artifact(&store, &second).unwrap();
    assert!(copy(&second).exists() && !copy(&first).exists());
    assert_eq!(std::fs::read_to_string(open_artifact(&store, &first).unwrap().path("rows.txt")).unwrap(), "first");
    let traffic = store.traffic();
    assert!(traffic.received() > 0 && traffic.requests() > 2);
}

#[test]
fn a_request_budget_ends_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions { request_budget: Some(3), ..StoreOptions::cached_in(folder.path()) };
    let store = Store::open("memory://", options).unwrap();
    let error = (0..4).find_map(|at| store.replace(&format!("key-{at}"), b"x").err()).unwrap();
    assert!(matches!(error, StoreError::Budget { requests: 3 }));
}
