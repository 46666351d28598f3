//! A source reads the same from a folder and from an object store.
use std::io::Read;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tuwen::ingest::{SourceRow, SourceSpec, source_rows};
use tuwen::store::{SourceFolder, StoreError, Traffic};

use crate::support::{files_below, repository};

/// The objects of a folder below `tests/formats`, and two of their own.
fn both(folder: &str) -> (tempfile::TempDir, SourceFolder, SourceFolder) {
    let copy = tempfile::tempdir().unwrap();
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let root = repository().join("tests/formats").join(folder);
    // More than two pieces of a request, so that their order shows.
    let large: Vec<u8> = (0..20_000_000u32).map(|at| (at / 1000) as u8).collect();
    let mut files: Vec<(String, Vec<u8>)> =
        files_below(&root).into_iter().map(|name| (name.clone(), std::fs::read(root.join(&name)).unwrap())).collect();
    files.push(("deep/large.bin".to_owned(), large));
    files.push(("empty".to_owned(), Vec::new()));
    for (name, bytes) in files {
        let path = copy.path().join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &bytes).unwrap();
        let key = Key::from(format!("some/prefix/{name}"));
        runtime.block_on(objects.put(&key, PutPayload::from(bytes))).unwrap();
    }
    let local = SourceFolder::open(&copy.path().to_string_lossy()).unwrap();
    let objects = Arc::new(PrefixStore::new(objects, "some/prefix"));
    let remote = SourceFolder::of_objects("s3://bucket/some/prefix", objects).unwrap();
    (copy, local, remote)
}

#[test]
fn a_folder_and_an_object_store_give_the_same_files() {
    let (_copy, local, remote) = both("chinese-clip");
    let names: Vec<String> = local.list().unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(local.list().unwrap(), remote.list().unwrap());
    let scratch = tempfile::tempdir().unwrap();
    for name in &names {
        let read = |source: &SourceFolder| {
            let mut bytes = Vec::new();
            source.reader(name).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        let bytes = read(&local);
        assert!(read(&remote) == bytes, "{name}");
        assert!(remote.read(name, 1 << 30).unwrap() == bytes, "{name}");
        assert!(std::fs::read(remote.local(name, scratch.path()).unwrap()).unwrap() == bytes, "{name}");
        assert!(remote.contains(name).unwrap() && local.contains(name).unwrap());
    }
    let some: Vec<&str> = names.iter().map(String::as_str).collect();
    let many =
        |source: &SourceFolder| source.read_many(&some, 1 << 30).into_iter().map(Result::unwrap).collect::<Vec<_>>();
    assert!(many(&local) == many(&remote));
}

#[test]
fn what_is_missing_or_too_large_is_an_error_in_both() {
    let (_copy, local, remote) = both("chinese-clip");
    for source in [&local, &remote] {
        assert!(!source.contains("no/such/file").unwrap());
        assert!(source.reader("no/such/file").is_err());
        assert!(matches!(source.read("deep/large.bin", 1000), Err(StoreError::TooLarge { .. })));
        assert!(source.read_many(&["empty", "gone"], 10).iter().map(Result::is_ok).eq([true, false]));
    }
    assert!(matches!(local.reader("deep"), Err(StoreError::NotAFile { .. })));
    assert!(matches!(SourceFolder::open("gopher://x/y"), Err(StoreError::UnknownScheme { .. })));
}

#[test]
fn requests_for_a_source_are_counted_and_kept_to_their_budget() {
    let read = |budget| {
        let (_copy, _local, remote) = both("chinese-clip");
        let traffic = Arc::new(Traffic::new(budget));
        let remote = remote.counted_by(&traffic);
        let read = remote.reader("deep/large.bin").map_err(|error| error.to_string());
        let read = read
            .and_then(|mut reader| std::io::copy(&mut reader, &mut std::io::sink()).map_err(|error| error.to_string()));
        (read, traffic)
    };
    let (all, traffic) = read(None);
    assert_eq!((all, traffic.received()), (Ok(20_000_000), 20_000_000));
    let needed = traffic.requests();
    assert!(needed >= 4, "a request for its length and one for each of three pieces, not {needed}");
    assert_eq!(read(Some(needed)).0, Ok(20_000_000));
    let (short, _) = read(Some(needed - 1));
    assert!(short.as_ref().is_err_and(|error| error.contains("request budget")), "{short:?}");
}

#[test]
fn every_format_comes_out_of_an_object_store() {
    let formats = [
        ("chinese-clip-zst", r#"{ "format": "chinese-clip", "root": "" }"#),
        ("reference-lmdb", r#"{ "format": "chinese-clip-lmdb", "root": "" }"#),
        ("folder", r#"{ "format": "folder", "root": "", "captions": "captions.parquet" }"#),
        ("parquet-paths", r#"{ "format": "parquet", "root": "" }"#),
        ("webdataset", r#"{ "format": "webdataset", "root": "" }"#),
    ];
    for (folder, spec) in formats {
        let (_copy, local, remote) = both(folder);
        let spec: SourceSpec = serde_json::from_str(spec).unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let rows = |source: &SourceFolder| -> Vec<(String, Vec<u8>)> {
            let rows = source_rows(&spec, source, scratch.path()).unwrap();
            rows.map(|row| match row.unwrap() {
                SourceRow::Image(image) => (image.id, image.content.into_bytes(source).unwrap()),
                SourceRow::Text(text) => (text.id, text.text.into_bytes()),
                SourceRow::Bad { reason, .. } => unreachable!("{reason}"),
            })
            .collect()
        };
        let found = rows(&remote);
        assert!(found.len() > 10 && found == rows(&local), "{folder}");
    }
}
