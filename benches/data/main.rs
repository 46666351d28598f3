//! A shuffled epoch from the image store: `cargo bench --bench data -- STORE [PAIRS] [full|raw]` after `tuwen run` of a stage
//! called `data`. Prints one JSON object; `benches/data/run.py` puts the reference's loader beside it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
use std::error::Error;
use std::time::Instant;

use serde_json::json;
use tuwen::data::{Manifest, Split};
use tuwen::ingest::Dataset;
use tuwen::store::{Sealed, Store, StoreOptions, open_artifact};
use tuwen::train::{Demand, DroppedItems, Loader, LoaderOptions, PositivesRule, SamplerRule};

const BATCH_SIZE: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds an option of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = arguments.next().ok_or("usage: cargo bench --bench data -- STORE [PAIRS] [full|raw]")?;
    let wanted: usize = arguments.next().map_or(Ok(usize::MAX), |pairs| pairs.parse())?;
    let raw = arguments.next().is_some_and(|mode| mode == "raw");
    let store = Store::open(&folder, StoreOptions::cached_in(std::path::Path::new(&folder)))?;
    let dataset = Dataset::open(&sealed(&store)?)?;
    let options = LoaderOptions {
        batch_size: BATCH_SIZE,
        side: 224,
        teacher_side: None,
        context_length: 52,
        augment: Vec::new(),
        positives: PositivesRule::Own,
        sampler: SamplerRule::Shuffled,
        dropped: DroppedItems::default(),
        seed: 123,
    };
    let loader = Loader::new(&dataset, "data", options)?;
    let (began, cpu) = (Instant::now(), cpu_seconds()?);
    let (mut pairs, mut bytes, mut stalled) = (0, 0, 0.0);
    if raw {
        let ids = dataset.image_ids(Split::Train)?;
        for position in loader.order(0).into_iter().take(wanted) {
            bytes += ids.get(position % ids.len()).map_or(Ok(0), |id| dataset.image_bytes(id).map(|b| b.len()))?;
            pairs += 1;
        }
    } else {
        loader.run_epoch(0, 0, |batch, waited| {
            pairs += batch.size;
            bytes += batch.pixels.len() * 4;
            stalled += waited.as_secs_f64();
            Ok(if pairs >= wanted { Demand::Enough } else { Demand::More })
        })?;
    }
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds()? - cpu);
    let per_image = 1e6 * cpu / pairs as f64;
    println!(
        "{}",
        json!({ "mode": if raw { "raw" } else { "full" }, "pairs": pairs, "bytes": bytes, "wall_s": wall, "cpu_s": cpu,
            "cpu_us_per_image": per_image, "images_per_s": pairs as f64 / wall, "waited_s": stalled })
    );
    Ok(())
}

/// The sealed data set of the stage `data`.
fn sealed(store: &Store) -> Result<Sealed, Box<dyn Error>> {
    for key in store.list("artifacts/dataset")?.iter().filter(|key| key.ends_with("/manifest.json")) {
        let manifest: Manifest = serde_json::from_slice(&store.read(key)?.unwrap_or_default())?;
        if manifest.stage == "data" {
            return Ok(open_artifact(store, &manifest.artifact)?);
        }
    }
    Err(format!("{}: no data set of a stage `data`", store.url()).into())
}

/// User and system time of this process in seconds; the kernel counts in hundredths.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |at: usize| fields.get(at).ok_or("short /proc/self/stat")?.parse::<f64>().map_err(Box::<dyn Error>::from);
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
