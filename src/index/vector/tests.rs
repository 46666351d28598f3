//! Every kind of index by the same rules.
use std::path::Path;

use super::*;
use crate::model::nearest::top_k;

const DIMENSION: usize = 48;

/// Clustered unit vectors, the same for the same seed.
fn clustered(rows: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let centre = |cluster: usize, i: usize| ((cluster * 131 + i * 17) % 23) as f32 / 11.0 - 1.0;
    let mut vectors = Vec::with_capacity(rows * DIMENSION);
    for row in 0..rows {
        let cluster = row * 7 % 40;
        let own: Vec<f32> = (0..DIMENSION).map(|i| centre(cluster, i) + next()).collect();
        let length = own.iter().map(|x| x * x).sum::<f32>().sqrt();
        vectors.extend(own.into_iter().map(|x| x / length));
    }
    vectors
}

fn options(kind: VectorIndexKind, queries: &[f32]) -> VectorIndexOptions<'_> {
    VectorIndexOptions { dimension: DIMENSION, kind, memory_bytes: None, recall: 0.95, queries }
}

const KINDS: [VectorIndexKind; 3] = [VectorIndexKind::Exact, VectorIndexKind::Graph, VectorIndexKind::Partitioned];

fn built(kind: VectorIndexKind, rows: usize) -> (tempfile::TempDir, Vec<f32>, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let (vectors, queries) = (clustered(rows, 3), clustered(200, 4));
    build_vectors(folder.path(), &vectors, &options(kind, &queries)).unwrap();
    (folder, vectors, queries)
}

fn hits(found: &[Vec<Scored>], truth: &[Vec<Scored>]) -> f64 {
    let same =
        |(found, truth): (&Vec<Scored>, &Vec<Scored>)| truth.iter().filter(|wanted| found.contains(wanted)).count();
    let total: usize = truth.iter().map(Vec::len).sum();
    found.iter().zip(truth).map(same).sum::<usize>() as f64 / total as f64
}

#[test]
fn every_kind_reaches_the_recall_it_reports_and_scores_exactly() {
    for kind in KINDS {
        let (folder, vectors, queries) = built(kind, 6_000);
        let index = open_vectors(folder.path()).unwrap();
        let truth = top_k(&queries, &vectors, DIMENSION, 10, None).unwrap();
        let found = index.search(&queries, 10, None).unwrap();
        let recall = hits(&found, &truth);
        match index.about().recall {
            None => assert_eq!(found, truth),
            Some(told) => {
                assert!(told.at_10 >= 0.95 && (told.at_10 - recall).abs() < 1e-9, "{kind:?}: {told:?}, found {recall}");
                assert_eq!((told.queries, told.source), (200, RecallSource::Queries));
            }
        }
        let alone: Vec<Vec<Scored>> =
            queries.chunks(DIMENSION).map(|query| index.search(query, 10, None).unwrap().remove(0)).collect();
        assert_eq!(alone, found, "{kind:?}: a batch changes what its queries find");
    }
}

#[test]
fn a_build_gives_the_same_bytes_whatever_the_number_of_threads() {
    let (vectors, queries) = (clustered(3_000, 8), clustered(50, 9));
    let bytes = |kind, threads: usize| {
        let folder = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| build_vectors(folder.path(), &vectors, &options(kind, &queries))).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    for kind in KINDS {
        assert_eq!(bytes(kind, 1), bytes(kind, 2), "{kind:?}");
    }
}

#[test]
fn only_allowed_rows_are_found_and_all_of_them_if_few() {
    for kind in KINDS {
        let (folder, vectors, queries) = built(kind, 4_000);
        let index = open_vectors(folder.path()).unwrap();
        for every in [3, 40, 400] {
            let set = RowSet::of(4_000, |row| row % every == 2);
            let found = index.search(&queries, 10, Some(&set)).unwrap();
            assert!(found.iter().flatten().all(|scored| set.contains(scored.row as usize)));
            let truth = top_k(&queries, &vectors, DIMENSION, 10, Some(&set)).unwrap();
            let recall = hits(&found, &truth);
            assert!(recall > 0.9, "{kind:?}, every {every}th row: {recall}");
        }
        assert!(index.search(&queries, 10, Some(&RowSet::all(3_999))).is_err());
    }
}

#[test]
fn deleted_rows_are_not_found_again() {
    for kind in KINDS {
        let (folder, vectors, queries) = built(kind, 2_000);
        let before = open_vectors(folder.path()).unwrap().search(&queries, 5, None).unwrap();
        let mut gone = RowSet::none(2_000);
        before.iter().for_each(|list| gone.insert(list[0].row as usize));
        delete_vectors(folder.path(), &gone).unwrap();
        delete_vectors(folder.path(), &RowSet::of(2_000, |row| row == 77)).unwrap();
        gone.insert(77);
        let index = open_vectors(folder.path()).unwrap();
        let mut alive = RowSet::all(2_000);
        alive.remove_all(&gone);
        let after = index.search(&queries, 5, None).unwrap();
        assert!(after.iter().flatten().all(|scored| alive.contains(scored.row as usize)), "{kind:?}");
        let truth = top_k(&queries, &vectors, DIMENSION, 5, Some(&alive)).unwrap();
        assert!(hits(&after, &truth) > 0.9, "{kind:?}");
        let both = RowSet::of(2_000, |row| row < 1_000);
        let found = index.search(&queries, 5, Some(&both)).unwrap();
        assert!(found.iter().flatten().all(|scored| scored.row < 1_000 && alive.contains(scored.row as usize)));
    }
}

#[test]
fn folders_that_are_not_whole_are_errors() {
    for kind in KINDS {
        let (folder, _, queries) = built(kind, 500);
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(names.len() >= 3);
        for name in names {
            let whole = std::fs::read(&name).unwrap();
            for length in [0, 1, 70, whole.len() / 2, whole.len() - 1] {
                std::fs::write(&name, &whole[..length]).unwrap();
                let error = open_vectors(folder.path()).err().map(|error| error.to_string());
                assert!(error.is_some_and(|text| text.contains("re-run")), "{}: {length} bytes", name.display());
            }
            std::fs::remove_file(&name).unwrap();
            assert!(open_vectors(folder.path()).is_err());
            std::fs::write(&name, &whole).unwrap();
        }
        let index = open_vectors(folder.path()).unwrap();
        index.verify().unwrap();
        assert!(matches!(index.search(&queries[1..], 3, None), Err(IndexError::Dimension { .. })));
    }
}

#[test]
fn a_file_of_another_index_is_an_error() {
    let (one, _, _) = built(VectorIndexKind::Exact, 500);
    let (other, _, _) = built(VectorIndexKind::Exact, 501);
    std::fs::copy(other.path().join("codes.bin"), one.path().join("codes.bin")).unwrap();
    assert!(open_vectors(one.path()).is_err());
    let set = RowSet::none(501);
    delete_vectors(other.path(), &set).unwrap();
    std::fs::copy(other.path().join("codes.bin"), other.path().join("vectors.bin")).unwrap();
    assert!(open_vectors(other.path()).is_err());
    assert!(open_vectors(Path::new("nowhere")).is_err());
}

#[test]
fn auto_says_what_it_chose_and_why() {
    let vectors = clustered(300, 1);
    let folder = tempfile::tempdir().unwrap();
    let about = build_vectors(folder.path(), &vectors, &options(VectorIndexKind::Auto, &[])).unwrap();
    assert_eq!(about.kind, VectorIndexKind::Exact);
    assert!(about.reason.contains("300 rows"), "{}", about.reason);
    let tight = VectorIndexOptions { memory_bytes: Some(1_000), ..options(VectorIndexKind::Auto, &[]) };
    let about = build_vectors(folder.path(), &vectors, &tight).unwrap();
    assert_eq!(about.kind, VectorIndexKind::Partitioned);
    assert!(about.reason.contains("memory"), "{}", about.reason);
    assert_eq!(about.recall.map(|recall| recall.source), Some(RecallSource::Rows));
    assert!(matches!(build_vectors(folder.path(), &[], &tight), Err(IndexError::Empty)));
    assert!(build_vectors(folder.path(), &vectors[1..], &tight).is_err());
}
