//! Images in any order, and entries that are refused.
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tuwen::store::{
    ImageStore, ImageStoreBuilder, LmdbBuilder, MAX_VALUE_BYTES, Sheet, SheetPool, StoreError, StoredImage, digest_file,
};

use super::lmdb_builder::{Entries, holds, value_bytes};

#[test]
fn images_in_any_order_make_the_file_of_their_sorted_entries() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for (case, count) in [0, 1, 2, 30, 800, 3000].into_iter().enumerate() {
        let mut images: Vec<(String, Vec<u8>)> = (0..count)
            .map(|index| {
                let id = format!("图{}-{index}", random.random_range(0..1000));
                let mut bytes = vec![0; value_bytes(&mut random, id.len())];
                random.fill(&mut bytes[..]);
                (id, bytes)
            })
            .collect();
        images.shuffle(&mut random);
        let expected: Entries = images.iter().map(|(id, bytes)| (id.clone().into_bytes(), bytes.clone())).collect();
        let mut trees = Vec::new();
        // All in memory, some runs, a run for every image.
        for batch_bytes in [64 << 20, 100_000, 1] {
            let path = folder.path().join(format!("{case}-{batch_bytes}.mdb"));
            let mut builder = ImageStoreBuilder::with_batch_bytes(&path, folder.path(), batch_bytes).unwrap();
            for (id, bytes) in &images {
                builder.insert(id, bytes).unwrap();
            }
            let digest = builder.finish().unwrap();
            assert_eq!((digest.bytes, digest.digest.clone()), digest_file(&path).unwrap());
            holds(&path, &expected);
            trees.push(digest);
            let store = ImageStore::open(std::slice::from_ref(&path)).unwrap();
            assert_eq!(store.entries().unwrap(), count as u64);
            for (id, bytes) in &images {
                assert_eq!(store.get(id).unwrap().as_ref(), Some(bytes));
            }
        }
        for round in 0..3 {
            let path = folder.path().join(format!("{case}-laid-{round}.mdb"));
            let mut builder = ImageStoreBuilder::create(&path, folder.path()).unwrap();
            insert_from_sheets(&mut builder, &images, &mut random);
            trees.push(builder.finish().unwrap());
            assert_eq!(digest_file(&path).unwrap().1, trees[0].digest, "{case}");
        }
        assert!(trees.iter().all(|digest| *digest == trees[0]), "what waits where is not seen in the file");
    }
    assert!(!folder.path().join("image_keys.spool").exists());
}

/// In batches of some sheets, with images that are by themselves and places that nobody wants.
fn insert_from_sheets(builder: &mut ImageStoreBuilder, images: &[(String, Vec<u8>)], random: &mut ChaCha8Rng) {
    let pool = SheetPool::default();
    let mut rest = images;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(random.random_range(1..=rest.len().min(300)));
        let room = batch.iter().map(|(id, bytes)| Sheet::room(id.len(), bytes.len())).sum::<usize>();
        let mut sheets = [pool.sheet(2 * room + 4096), pool.sheet(2 * room + 4096)];
        let mut stored = Vec::new();
        for (id, bytes) in batch {
            let sheet = random.random_range(0..2);
            let mut lay = |bytes: &[u8]| {
                let place = sheets[sheet].lay(bytes.len(), |memory| {
                    memory.copy_from_slice(bytes);
                    Ok::<(), ()>(())
                });
                place.unwrap()
            };
            let image = match random.random_range(0..8) {
                _ if Sheet::room(id.len(), bytes.len()) == 0 => StoredImage::Loose(bytes.clone()),
                0 => StoredImage::Loose(bytes.clone()),
                1 => {
                    lay(bytes);
                    StoredImage::Laid { sheet, place: lay(bytes) }
                }
                _ => StoredImage::Laid { sheet, place: lay(bytes) },
            };
            assert_eq!(sheets[sheet].lay(1, |_| Err("no value")), Err("no value"));
            if let StoredImage::Laid { place, .. } = &image {
                assert_eq!(sheets[sheet].value(*place), bytes);
            }
            stored.push((id.clone(), image));
        }
        builder.insert_laid(sheets.into(), &stored).unwrap();
        rest = later;
    }
}

#[test]
fn keys_out_of_order_and_sizes_out_of_bounds_are_refused_and_the_rest_stands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.mdb");
    let mut builder = LmdbBuilder::create(&path).unwrap();
    assert!(LmdbBuilder::create(&path).unwrap_err().to_string().contains("images.mdb"), "no file is overwritten");
    builder.append(b"b", b"1").unwrap();
    let refused = |error: Result<(), StoreError>| error.unwrap_err().to_string();
    assert!(refused(builder.append(b"a", &[0; 9000])).contains("entry 2: key `a` is not greater than `b`"));
    assert!(refused(builder.append(b"b", b"2")).contains("key `b` is not greater"));
    assert!(refused(builder.append(b"", b"2")).contains("1 to 511 bytes, this one has 0"));
    assert!(refused(builder.append(&[b'c'; 512], b"2")).contains("this one has 512"));
    assert!(
        refused(builder.append(b"c", &vec![0; MAX_VALUE_BYTES + 1]))
            .contains("entry 2: the value has 1073741825 bytes")
    );
    builder.append(&[b'c'; 511], &[3; 5000]).unwrap();
    let digest = builder.finish().unwrap();
    assert_eq!((digest.bytes, digest.digest), digest_file(&path).unwrap());
    holds(&path, &Entries::from([(b"b".to_vec(), b"1".to_vec()), (vec![b'c'; 511], vec![3; 5000])]));

    for batch_bytes in [1 << 20, 1] {
        let path = folder.path().join(format!("twice-{batch_bytes}.mdb"));
        let mut builder = ImageStoreBuilder::with_batch_bytes(&path, folder.path(), batch_bytes).unwrap();
        assert!(refused(builder.insert("", b"x")).contains("entry 1: a key has 1 to 511 bytes"));
        for id in ["b", "a", "b"] {
            builder.insert(id, id.as_bytes()).unwrap();
        }
        assert!(builder.finish().unwrap_err().to_string().contains("`b` is not greater than `b`"));
    }
}
