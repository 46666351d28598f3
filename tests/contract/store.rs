use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use object_store::ObjectStore;
use object_store::memory::InMemory;
use tuwen::data::{ArtifactKey, ArtifactKind, FingerprintBuilder};
use tuwen::store::{
    Created, Description, Publication, Store, StoreError, StoreOptions, Workdir, latest_release, open_artifact,
    pipelines, publish, read_manifest, seal,
};

/// Runs a test on every kind of store.
pub fn on_every_store(test: impl Fn(&Store)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    for url in [path.to_str().unwrap(), "memory://"] {
        test(&Store::open(url, StoreOptions::cached_in(&folder.path().join("cache"))).unwrap());
    }
}

pub fn artifact(name: &str) -> ArtifactKey {
    ArtifactKey { kind: ArtifactKind::Dataset, fingerprint: FingerprintBuilder::new(name, 1).finish() }
}

/// Seals an artifact of two files.
pub fn sealed(store: &Store, name: &str) -> ArtifactKey {
    let key = artifact(name);
    let workdir = Workdir::open(store, &key).unwrap();
    std::fs::write(workdir.out().join("rows.txt"), name).unwrap();
    std::fs::create_dir_all(workdir.out().join("deep")).unwrap();
    std::fs::write(workdir.out().join("deep/more.txt"), "more").unwrap();
    seal(store, workdir.out(), &key, Description { stage: "stage".to_owned(), ..Description::default() }).unwrap();
    workdir.remove().unwrap();
    key
}

#[test]
fn a_create_only_write_takes_place_once() {
    on_every_store(|store| {
        assert_eq!(store.read("a/b.json").unwrap(), None);
        assert_eq!(store.create("a/b.json", b"one").unwrap(), Created::Ours);
        assert_eq!(store.create("a/b.json", b"one").unwrap(), Created::Ours, "our own write, repeated");
        assert_eq!(store.create("a/b.json", b"two").unwrap(), Created::Taken);
        assert_eq!(store.read("a/b.json").unwrap().unwrap().as_ref(), b"one");
        store.replace("a/b.json", b"three").unwrap();
        assert_eq!(store.read("a/b.json").unwrap().unwrap().as_ref(), b"three");
        assert_eq!(store.list("a").unwrap(), ["a/b.json"]);
        assert!(store.list("nothing").unwrap().is_empty());
    });
}

#[test]
fn of_many_racing_writers_exactly_one_wins() {
    on_every_store(|store| {
        let barrier = Barrier::new(16);
        let won: usize = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..16)
                .map(|writer| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        barrier.wait();
                        store.create("race", format!("writer {writer}").as_bytes()).unwrap() == Created::Ours
                    })
                })
                .collect();
            writers.into_iter().map(|writer| usize::from(writer.join().unwrap())).sum()
        });
        assert_eq!(won, 1);
    });
}

#[test]
fn an_artifact_counts_once_it_is_sealed_and_opens_with_all_its_files() {
    on_every_store(|store| {
        assert!(read_manifest(store, &artifact("x")).unwrap().is_none());
        assert!(open_artifact(store, &artifact("x")).unwrap_err().to_string().contains("run the pipeline first"));
        let key = sealed(store, "x");
        let opened = open_artifact(store, &key).unwrap();
        assert_eq!(std::fs::read_to_string(opened.path("rows.txt")).unwrap(), "x");
        assert_eq!(std::fs::read_to_string(opened.path("deep/more.txt")).unwrap(), "more");
        let files: Vec<&str> = opened.manifest.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(files, ["deep/more.txt", "rows.txt"]);
    });
}

#[test]
fn what_a_killed_try_left_of_a_file_is_no_part_of_the_artifact() {
    on_every_store(|store| {
        let key = artifact("left-over");
        let workdir = Workdir::open(store, &key).unwrap();
        std::fs::write(workdir.out().join("rows.txt"), "x").unwrap();
        std::fs::write(workdir.out().join(".rows.txt.0123456789abcdef"), "hal").unwrap();
        let manifest = seal(store, workdir.out(), &key, Description::default()).unwrap();
        let files: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(files, ["rows.txt"]);
    });
}

#[test]
fn a_work_folder_belongs_to_one_run_at_a_time() {
    on_every_store(|store| {
        let key = artifact("locked");
        let first = Workdir::open(store, &key).unwrap();
        assert!(Workdir::open(store, &key).unwrap_err().to_string().contains("another run"));
        drop(first);
        Workdir::open(store, &key).unwrap();
    });
}

#[test]
fn a_work_folder_has_one_holder_while_others_take_and_remove_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), StoreOptions::cached_in(folder.path())).unwrap();
    let (held, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut round = 0;
                while round < 25 {
                    match Workdir::open(&store, &artifact("raced")) {
                        Ok(workdir) => {
                            assert!(!held.swap(true, Ordering::SeqCst), "two hold it");
                            taken.fetch_add(1, Ordering::SeqCst);
                            std::fs::write(workdir.out().join("rows.txt"), "x").unwrap();
                            std::fs::write(workdir.scratch().join("receipt"), "x").unwrap();
                            held.store(false, Ordering::SeqCst);
                            workdir.remove().unwrap_or_else(|error| panic!("round {round}: {error}"));
                            round += 1;
                        }
                        Err(error) => {
                            assert!(matches!(error, StoreError::Locked { .. }), "round {round}: {error}");
                            std::thread::yield_now();
                        }
                    }
                }
            });
        }
    });
    assert_eq!(taken.into_inner(), 8 * 25);
}

/// Publishes on top of the newest release.
pub fn publish_next(store: &Store, pipeline: &str, artifacts: &BTreeMap<String, ArtifactKey>) -> (u64, bool) {
    let base = latest_release(store, pipeline).unwrap().map_or(0, |release| release.number);
    let publication = Publication { pipeline, artifacts: artifacts.clone(), base, ..Publication::default() };
    let (release, new) = publish(store, publication).unwrap();
    (release.number, new)
}

#[test]
fn releases_are_numbered_and_an_unchanged_one_is_not_repeated() {
    on_every_store(|store| {
        let one = BTreeMap::from([("data".to_owned(), artifact("one"))]);
        let two = BTreeMap::from([("data".to_owned(), artifact("two"))]);
        assert!(latest_release(store, "p").unwrap().is_none());
        let numbers: Vec<(u64, bool)> =
            [&one, &one, &two, &one].into_iter().map(|artifacts| publish_next(store, "p", artifacts)).collect();
        assert_eq!(numbers, [(1, true), (1, false), (2, true), (3, true)]);
        publish_next(store, "q", &one);
        assert_eq!(pipelines(store).unwrap(), ["p", "q"]);
        assert_eq!(latest_release(store, "p").unwrap().unwrap().artifacts, one);
    });
}

#[test]
fn a_damaged_artifact_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), StoreOptions::cached_in(folder.path())).unwrap();
    let key = sealed(&store, "x");
    std::fs::write(folder.path().join(key.prefix()).join("rows.txt"), "longer than before").unwrap();
    assert!(open_artifact(&store, &key).unwrap_err().to_string().contains("run the stage again"));
}

#[test]
fn an_object_that_ends_early_is_damage_and_no_failure_of_the_server() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let open =
        |cache: &Path| Store::of_objects("s3://bucket", Arc::clone(&objects), StoreOptions::cached_in(cache)).unwrap();
    let store = open(folder.path());
    let key = artifact("large");
    let workdir = Workdir::open(&store, &key).unwrap();
    // Three requests, of which the object will answer one.
    std::fs::write(workdir.out().join("rows.bin"), vec![7; 20 << 20]).unwrap();
    seal(&store, workdir.out(), &key, Description::default()).unwrap();
    let file = read_manifest(&store, &key).unwrap().unwrap().files.remove(0);
    let place = store.file_key(&key.prefix(), &file);
    store.replace(&place, &vec![7; 9 << 20]).unwrap();
    assert!(matches!(open_artifact(&open(other.path()), &key), Err(StoreError::Damaged { .. })));
    assert_ne!(store.digest(&place, file.bytes).unwrap(), file.digest);
}
