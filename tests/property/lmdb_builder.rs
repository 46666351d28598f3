//! Files of `LmdbBuilder`, as LMDB itself reads, checks and changes them.
use std::collections::BTreeMap;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, WithTls};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tuwen::store::{FileDigest, LmdbBuilder, MAX_KEY_BYTES, digest_file};

pub(super) type Entries = BTreeMap<Vec<u8>, Vec<u8>>;
type Raw = Database<'static, Bytes, Bytes>;

/// The largest header, key and value that stay in a leaf (`me_nodemax`).
const NODE_MAX: usize = 2038;

fn env(path: &Path, flags: EnvFlags) -> Env<WithTls> {
    let mut options = EnvOpenOptions::new();
    options.map_size(4 << 30);
    #[expect(unsafe_code, reason = "LMDB maps the file into memory; no other process knows it")]
    let opened = unsafe { options.flags(flags | EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK).open(path) };
    opened.unwrap()
}

/// A file that is only read, and its nameless database.
fn sealed(path: &Path) -> (Env<WithTls>, Raw) {
    let env = env(path, EnvFlags::READ_ONLY);
    let opened = env.open_databases_and_commit(env.read_txn().unwrap(), |opener, txn| {
        opener.open_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
    });
    let raw = opened.unwrap().commit().flatten().unwrap();
    (env, raw)
}

/// A file that is changed.
fn writable(path: &Path) -> (Env<WithTls>, Raw) {
    let env = env(path, EnvFlags::NO_SYNC);
    let opened = env.create_databases_and_commit(env.write_txn().unwrap(), |opener, txn| {
        opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
    });
    let raw = opened.unwrap().unwrap_commit();
    (env, raw)
}

fn build(path: &Path, entries: &Entries) -> FileDigest {
    let mut builder = LmdbBuilder::create(path).unwrap();
    for (key, value) in entries {
        builder.append(key, value).unwrap();
    }
    builder.finish().unwrap()
}

/// Value lengths around every boundary that a key of that length has.
pub(super) fn value_bytes(random: &mut ChaCha8Rng, key: usize) -> usize {
    let edge = match random.random_range(0..8) {
        0 => 0,
        1 | 2 => NODE_MAX - 8 - key,
        3 => 4096 - 16,
        4 => 4096,
        5 => 4096 * random.random_range(1..6) - 16,
        6 => return random.random_range(0..300),
        _ => return random.random_range(0..20_000),
    };
    (edge + random.random_range(0..5)).saturating_sub(2)
}

fn random_entries(random: &mut ChaCha8Rng, count: usize, longest_key: usize, longest_value: usize) -> Entries {
    let mut entries = Entries::new();
    while entries.len() < count {
        let mut key = vec![0; random.random_range(1..=longest_key)];
        random.fill(&mut key[..]);
        let mut value = vec![0; value_bytes(random, key.len()).min(longest_value)];
        random.fill(&mut value[..]);
        entries.insert(key, value);
    }
    entries
}

/// LMDB reads exactly these entries; and its compacting copy, which fails if a page is not accounted for, does too.
pub(super) fn holds(path: &Path, expected: &Entries) {
    let (env, raw) = sealed(path);
    let txn = env.read_txn().unwrap();
    let mut found = raw.iter(&txn).unwrap();
    for (key, value) in expected {
        assert_eq!(found.next().unwrap().unwrap(), (&key[..], &value[..]));
        assert_eq!(raw.get(&txn, key).unwrap(), Some(&value[..]));
    }
    assert!(found.next().is_none());
    assert!(raw.rev_iter(&txn).unwrap().map(|entry| entry.unwrap().0).eq(expected.keys().rev()));
    let mut copy = tempfile::tempfile_in(path.parent().unwrap()).unwrap();
    env.copy_to_file(&mut copy, CompactionOption::Enabled).unwrap();
}

/// Depth, branch, leaf and overflow pages and entries as the meta page says them; last page and transaction.
fn shape(path: &Path) -> ([usize; 5], usize, usize) {
    let (env, raw) = sealed(path);
    let txn = env.read_txn().unwrap();
    let stat = raw.stat(&txn).unwrap();
    let info = env.info();
    let tree = [stat.depth as usize, stat.branch_pages, stat.leaf_pages, stat.overflow_pages, stat.entries];
    (tree, info.last_page_number, info.last_txn_id)
}

/// The same entries, appended by LMDB in one transaction.
fn by_lmdb(path: &Path, entries: &Entries) {
    let (env, raw) = writable(path);
    let mut txn = env.write_txn().unwrap();
    for (key, value) in entries {
        raw.put_with_flags(&mut txn, PutFlags::APPEND, key, value).unwrap();
    }
    txn.commit().unwrap();
}

/// Checks a new file in every respect.
fn check(folder: &Path, entries: &Entries, case: &str) -> usize {
    let (ours, theirs) = (folder.join(format!("{case}.mdb")), folder.join(format!("{case}-lmdb.mdb")));
    let digest = build(&ours, entries);
    assert_eq!((digest.bytes, digest.digest), digest_file(&ours).unwrap(), "{case}");
    holds(&ours, entries);
    by_lmdb(&theirs, entries);
    let ([depth, branch, leaf, overflow, count], last_page, transaction) = shape(&ours);
    let ([their_depth, their_branch, their_leaf, their_overflow, _], ..) = shape(&theirs);
    assert_eq!(count, entries.len(), "{case}");
    assert_eq!((leaf, overflow), (their_leaf, their_overflow), "{case}: LMDB appends into as many pages");
    assert!(depth <= their_depth && branch <= their_branch, "{case}: LMDB's branch pages are not fuller");
    // Meta pages, and no page that is not of the tree.
    assert_eq!(last_page + 1, 2 + branch + leaf + overflow, "{case}");
    assert_eq!(std::fs::metadata(&ours).unwrap().len(), 4096 * (last_page as u64 + 1), "{case}");
    assert_eq!(transaction, 1, "{case}");
    for path in [&ours, &theirs] {
        std::fs::remove_file(path).unwrap();
    }
    depth
}

#[test]
fn lmdb_reads_what_was_built_and_counts_the_same_pages() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut depths = [0; 6];
    for case in 0..120 {
        let count: usize = [0, 1, 2, 3, random.random_range(4..40), random.random_range(40..900)][case % 6];
        let longest_key = [1 + count.div_ceil(100), 20, MAX_KEY_BYTES][random.random_range(0..3)].max(2);
        let entries = random_entries(&mut random, count, longest_key, 30_000);
        depths[check(folder.path(), &entries, &case.to_string())] += 1;
    }
    for (case, count) in [600, 900, 3000, 5991].into_iter().enumerate() {
        // Long keys make branch pages of few children.
        let entries: Entries = (0..count)
            .map(|index: usize| (format!("{index:0>width$}", width = MAX_KEY_BYTES - case).into_bytes(), vec![7; 1400]))
            .collect();
        depths[check(folder.path(), &entries, &format!("deep-{case}"))] += 1;
    }
    assert!(depths.iter().all(|cases| *cases > 0), "files of depth 0 to 5 were tried: {depths:?}");
}

#[test]
fn every_width_of_the_last_branch_page_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    // Two entries a leaf and eight children a branch page: over 140 counts every level ends with every width.
    for count in 1..=280 {
        let key = |index: usize| format!("{index:0>511}").into_bytes();
        let entries: Entries = (0..count).map(|index| (key(index), vec![1; NODE_MAX - 8 - 511])).collect();
        check(folder.path(), &entries, &count.to_string());
    }
}

#[test]
fn lmdb_changes_what_was_built() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.mdb");
    let mut random = ChaCha8Rng::seed_from_u64(2);
    for count in [0, 1, 2, 50, 700, 2000] {
        let mut model = random_entries(&mut random, count, if count > 1000 { MAX_KEY_BYTES } else { 40 }, 9000);
        build(&path, &model);
        for round in 0..6 {
            let (env, raw) = writable(&path);
            let mut txn = env.write_txn().unwrap();
            let mut gone: Vec<Vec<u8>> = model.keys().cloned().collect();
            gone.shuffle(&mut random);
            // The last round leaves nothing.
            gone.truncate(if round == 5 { gone.len() } else { gone.len() / 3 });
            for key in gone {
                assert!(raw.delete(&mut txn, &key).unwrap());
                model.remove(&key);
            }
            if round < 5 {
                for (key, value) in random_entries(&mut random, 1 + count / 4, 60, 9000) {
                    raw.put(&mut txn, &key, &value).unwrap();
                    model.insert(key, value);
                }
                // Other values under known keys: runs grow, shrink and move into leaves.
                for (key, value) in model.iter_mut().step_by(3) {
                    *value = vec![round as u8; value_bytes(&mut random, key.len())];
                    raw.put(&mut txn, key, value).unwrap();
                }
            }
            txn.commit().unwrap();
            env.prepare_for_closing().wait();
            holds(&path, &model);
        }
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn an_unfinished_file_is_none_and_a_file_on_the_edge_of_a_group_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.mdb");
    let mut builder = LmdbBuilder::create(&path).unwrap();
    builder.append(b"a", &vec![1; 5 << 20]).unwrap();
    drop(builder);
    let mut options = EnvOpenOptions::new();
    #[expect(unsafe_code, reason = "LMDB maps the file into memory; no other process knows it")]
    let opened = unsafe { options.flags(EnvFlags::NO_SUB_DIR | EnvFlags::NO_LOCK | EnvFlags::READ_ONLY).open(&path) };
    assert!(opened.is_err());
    // Meta pages, run and leaf fill 1, 2, 3 MiB, or end a page before or behind.
    for pages in [255, 256, 257, 511, 512, 513, 768, 1024] {
        let value = vec![pages as u8; (pages - 3) * 4096 - 16];
        check(folder.path(), &Entries::from([(b"key".to_vec(), value)]), &pages.to_string());
    }
}
