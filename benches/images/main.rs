//! CPU microseconds per image on one thread, from the bytes of a JPEG to the model's input: `cargo bench --bench images --
//! FOLDER ROUNDS` prints one JSON object; `benches/images/run.py` puts the peers beside it.
//!
//! `training` is a random resized crop (scale 0.08 to 1, bilinear), flip, brightness, contrast and saturation; `evaluation` is
//! the whole image squashed with bicubic interpolation. Both end as normalised `[3, 224, 224]` f32.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::PathBuf;

use serde_json::json;
use tuwen::augment::{AugmentSpec, evaluation_pixels_of, item_rng, training_pixels};
use tuwen::ingest::decode;

const SIDE: u32 = 224;

/// What is done with each file, given its number and bytes.
type Each<'a> = &'a mut dyn FnMut(usize, &[u8]) -> Result<(), Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds an option of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = arguments.next().ok_or("usage: cargo bench --bench images -- FOLDER [ROUNDS]")?;
    let rounds: u64 = arguments.next().map_or(Ok(12), |rounds| rounds.parse())?;
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
    let steps: Vec<AugmentSpec> = serde_json::from_value(json!([
        { "random_resized_crop": {} },
        { "random_horizontal_flip": {} },
        { "color_jitter": { "brightness": 0.2, "contrast": 0.2, "saturation": 0.2 } },
    ]))?;
    let mut out = vec![0.0; 3 * (SIDE * SIDE) as usize];
    let mut rounds_of: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..=rounds {
        let mut measure = |name, each: Each<'_>| {
            let started = cpu_nanoseconds()?;
            files.iter().enumerate().try_for_each(|(number, file)| each(number, file))?;
            let spent = (cpu_nanoseconds()? - started) as f64 / 1e3 / files.len() as f64;
            // The first round warms up.
            if round > 0 {
                rounds_of.entry(name).or_default().push(spent);
            }
            Ok::<(), Box<dyn Error>>(())
        };
        measure("training", &mut |number, file| {
            let mut rng = item_rng(1, round, &number.to_string());
            training_pixels(file, &steps, SIDE, &mut rng, &mut out)?;
            black_box(&mut out);
            Ok(())
        })?;
        measure("evaluation", &mut |_, file| {
            evaluation_pixels_of(file, SIDE, &mut out)?;
            black_box(&mut out);
            Ok(())
        })?;
        measure("decode", &mut |_, file| {
            black_box(decode(file)?);
            Ok(())
        })?;
    }
    let medians: BTreeMap<_, _> = rounds_of.into_iter().map(|(name, spent)| (name, median(spent))).collect();
    println!("{}", json!({ "us_per_image": medians, "files": files.len() }));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Time that this thread has spent on a processor.
fn cpu_nanoseconds() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split_whitespace().next().ok_or("no schedstat")?.parse()?)
}
