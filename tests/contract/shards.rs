//! Finished shards on every kind of store: what counts, what another try may do, and when they go.
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tuwen::data::ArtifactKey;
use tuwen::store::{Attempt, Created, FinishedShard, GarbageOptions, ShardStore, Store, collect_garbage};

use super::store::{artifact, on_every_store, sealed};

const SHARD: &str = "model/data/train-image-00000.parquet";

/// Makes a shard of one file.
fn make(store: &Store, key: &ArtifactKey, shard: &str, content: &str) -> Created {
    let attempt = Attempt::open(store, key, shard).unwrap().unwrap();
    let path = attempt.out().join(shard);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    let shards = ShardStore::new(store, key);
    let created = shards.publish(shard, attempt.out(), &[shard.to_owned()], json!({ "by": content })).unwrap();
    attempt.remove().unwrap();
    created
}

fn read(store: &Store, key: &ArtifactKey, shard: &str, folder: &Path) -> (FinishedShard, String) {
    let shards = ShardStore::new(store, key);
    let found = shards.read(shard).unwrap().unwrap();
    shards.fetch(shard, &found.files, folder).unwrap();
    let content = std::fs::read_to_string(folder.join(shard)).unwrap();
    (found, content)
}

#[test]
fn a_shard_counts_once_it_has_its_receipt_and_a_second_try_changes_nothing() {
    on_every_store(|store| {
        let (key, folder) = (artifact("shards"), tempfile::tempdir().unwrap());
        let shards = ShardStore::new(store, &key);
        assert!(shards.finished().unwrap().is_empty() && shards.read(SHARD).unwrap().is_none());
        assert_eq!(make(store, &key, SHARD, "first"), Created::Ours);
        assert_eq!(make(store, &key, SHARD, "second, which differs"), Created::Taken);
        assert_eq!(make(store, &key, "other", "other"), Created::Ours);
        assert_eq!(shards.finished().unwrap().into_iter().collect::<Vec<_>>(), [SHARD, "other"]);
        // What a killed try left at the target makes room.
        let target = folder.path().join(SHARD);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(&target, "half").unwrap();
        let (found, content) = read(store, &key, SHARD, folder.path());
        assert_eq!((found.receipt, content.as_str()), (json!({ "by": "first" }), "first"));
        let another = artifact("another");
        assert!(ShardStore::new(store, &another).finished().unwrap().is_empty());
        shards.clear().unwrap();
        assert!(
            shards.finished().unwrap().is_empty()
                && store.list("work").unwrap().iter().all(|key| key.ends_with("/lock"))
        );
    });
}

#[test]
fn a_shard_whose_file_is_another_is_refused() {
    on_every_store(|store| {
        let (key, folder) = (artifact("damaged"), tempfile::tempdir().unwrap());
        make(store, &key, SHARD, "content");
        let shards = ShardStore::new(store, &key);
        let found = shards.read(SHARD).unwrap().unwrap();
        let file = store.list("work").unwrap().into_iter().find(|key| key.ends_with("parquet")).unwrap();
        store.replace(&file, b"CONTENT").unwrap();
        let error = shards.fetch(SHARD, &found.files, folder.path()).unwrap_err();
        assert!(error.to_string().contains("found another content"), "{error}");
        assert!(!folder.path().join(SHARD).exists());
        store.remove(&file).unwrap();
        shards.fetch(SHARD, &found.files, folder.path()).unwrap_err();
    });
}

#[test]
fn one_process_at_a_time_tries_a_shard_and_finds_a_clean_folder() {
    on_every_store(|store| {
        let key = artifact("attempts");
        let first = Attempt::open(store, &key, "a/b").unwrap().unwrap();
        std::fs::write(first.out().join("half"), "x").unwrap();
        assert!(Attempt::open(store, &key, "a/b").unwrap().is_none());
        Attempt::open(store, &key, "a").unwrap().unwrap();
        Attempt::open(store, &key, "a-b").unwrap().unwrap();
        let left = first.out().to_owned();
        // As a killed process leaves it: the lock is free, the folder is there.
        drop(first);
        let second = Attempt::open(store, &key, "a/b").unwrap().unwrap();
        assert!(!left.exists() && std::fs::read_dir(second.out()).unwrap().next().is_none());
    });
}

#[test]
fn shards_go_after_their_grace_unless_a_run_wants_what_they_are_for() {
    on_every_store(|store| {
        let (wanted, unwanted) = (artifact("wanted"), artifact("unwanted"));
        let done = sealed(store, "done");
        for key in [&wanted, &unwanted, &done] {
            make(store, key, SHARD, "x");
        }
        let steps = json!([{ "artifact": wanted }, { "artifact": done }]);
        store.replace("runs/one.json", json!({ "state": "failed", "steps": steps }).to_string().as_bytes()).unwrap();
        let later = |days: u64, dry_run| GarbageOptions {
            releases: 1,
            runs: 1,
            grace: Duration::from_hours(1),
            now: SystemTime::now() + Duration::from_secs(86_400 * days),
            dry_run,
        };
        let marked = collect_garbage(store, &later(1, false), &|| Ok(())).unwrap();
        let shards = |prefixes: &[String]| prefixes.iter().filter(|prefix| prefix.ends_with("/shards")).count();
        assert_eq!((shards(&marked.removed), shards(&marked.waiting)), (0, 2), "{marked:?}");
        let foretold = collect_garbage(store, &later(2, true), &|| Ok(())).unwrap();
        let removed = collect_garbage(store, &later(2, false), &|| Ok(())).unwrap();
        assert_eq!(foretold.removed, removed.removed, "a dry run says exactly what happens");
        assert_eq!(shards(&removed.removed), 2, "{removed:?}");
        for (key, count) in [(&wanted, 1), (&unwanted, 0), (&done, 0)] {
            assert_eq!(ShardStore::new(store, key).finished().unwrap().len(), count);
            let left = store.list(&format!("work/{}-{}/shards", key.kind, key.fingerprint)).unwrap();
            assert_eq!(left.len(), 2 * count, "{left:?}");
        }
    });
}
