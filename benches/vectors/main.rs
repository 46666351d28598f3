//! Vector search over made vectors: `cargo bench --bench vectors -- FOLDER WHAT...` prints one JSON object for each WHAT.
//!
//! FOLDER is from data.py. WHAT is `exact`, `ranks`, `partitioned` or `graph`; `exact` also leaves the true lists for the peers.
//! CPU time of all threads; benches/vectors/run.py puts the peers beside it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use tuwen::index::{VectorIndex, VectorIndexKind, VectorIndexOptions, build_vectors, open_vectors};
use tuwen::model::nearest::{Scored, rank_of};

const DIMENSION: usize = 512;
const K: usize = 10;
const ROUNDS: usize = 5;
/// Queries that are asked one by one.
const SINGLES: usize = 200;
/// Queries that a build may see; figures are from the others.
const SEEN: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = PathBuf::from(arguments.next().ok_or("give the folder that data.py wrote")?);
    let base = floats(&folder.join("base.f32"))?;
    for what in arguments {
        let found = match what.as_str() {
            "exact" => measure(&folder, &base, VectorIndexKind::Exact)?,
            "partitioned" => measure(&folder, &base, VectorIndexKind::Partitioned)?,
            "graph" => measure(&folder, &base, VectorIndexKind::Graph)?,
            "ranks" => ranks(&folder, &base)?,
            other => return Err(format!("unknown: {other}").into()),
        };
        println!("{found}");
    }
    Ok(())
}

/// Build, recall and CPU time of one kind.
fn measure(folder: &Path, base: &[f32], kind: VectorIndexKind) -> Result<Value, Box<dyn Error>> {
    let out = folder.join(format!("{kind:?}").to_lowercase());
    std::fs::create_dir_all(&out)?;
    let seen = &floats(&folder.join("cross.f32"))?[..SEEN * DIMENSION];
    let options = VectorIndexOptions { dimension: DIMENSION, kind, memory_bytes: None, recall: 0.99, queries: seen };
    let (before, started) = (cpu_seconds()?, Instant::now());
    let about = build_vectors(&out, base, &options)?;
    let (build_cpu_s, build_s) = (cpu_seconds()? - before, started.elapsed().as_secs_f64());
    let index = open_vectors(&out)?;
    let mut search = Vec::new();
    for side in ["same", "cross"] {
        let queries = floats(&folder.join(format!("{side}.f32")))?;
        let truth_file = folder.join(format!("truth_{side}.u32"));
        if kind == VectorIndexKind::Exact {
            let lists = index.search(&queries, K, None)?;
            let rows = lists.iter().flatten().flat_map(|scored| scored.row.to_le_bytes());
            std::fs::write(&truth_file, rows.collect::<Vec<u8>>())?;
        }
        let truth: Vec<u32> =
            std::fs::read(&truth_file)?.as_chunks::<4>().0.iter().map(|row| u32::from_le_bytes(*row)).collect();
        search.push(searches(side, index.as_ref(), &queries[SEEN * DIMENSION..], &truth[SEEN * K..])?);
    }
    Ok(
        json!({ "name": about.kind, "rows": about.rows, "build_cpu_s": build_cpu_s, "build_s": build_s, "about": about, "search": search }),
    )
}

fn searches(side: &str, index: &dyn VectorIndex, queries: &[f32], truth: &[u32]) -> Result<Value, Box<dyn Error>> {
    let count = queries.len() / DIMENSION;
    let lists: Vec<Vec<Scored>> = index.search(queries, K, None)?;
    let hits =
        lists.iter().zip(truth.chunks(K)).map(|(list, truth)| list.iter().filter(|s| truth.contains(&s.row)).count());
    let recall = hits.sum::<usize>() as f64 / truth.len() as f64;
    let (mut batch, mut single) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let before = cpu_seconds()?;
        index.search(queries, K, None)?;
        batch.push((cpu_seconds()? - before) * 1e6 / count as f64);
        let before = cpu_seconds()?;
        for query in queries.chunks(DIMENSION).step_by(count / SINGLES).take(SINGLES) {
            index.search(query, K, None)?;
        }
        single.push((cpu_seconds()? - before) * 1e6 / SINGLES as f64);
    }
    Ok(json!({ "queries": side, "recall": recall, "batch_us": median(batch), "single_us": median(single) }))
}

/// Ranks of one relevant document for 5,000 queries over up to 30,000 documents.
fn ranks(folder: &Path, base: &[f32]) -> Result<Value, Box<dyn Error>> {
    let documents = &base[..base.len().min(30_000 * DIMENSION)];
    let queries = floats(&folder.join("cross.f32"))?;
    let rows = documents.len() / DIMENSION;
    let relevant: Vec<Vec<usize>> = (0..queries.len() / DIMENSION).map(|query| vec![query * 7 % rows]).collect();
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let before = cpu_seconds()?;
        rank_of(&queries, documents, DIMENSION, &relevant)?;
        seconds.push(cpu_seconds()? - before);
    }
    Ok(json!({ "name": "ranks", "documents": rows, "queries": relevant.len(), "cpu_s": median(seconds) }))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn floats(path: &Path) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
}

/// CPU time of all threads that are alive, from the scheduler.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0u64;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let line = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += line.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e9)
}
