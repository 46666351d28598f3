//! Images and texts per second of the CPU encoder, ViT-B-16 + RoBERTa-wwm-ext-base-chinese with random weights.
//!
//! `cargo bench --bench encode` prints one JSON object; `benches/encode/run.sh` puts PyTorch beside it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use tuwen::model::{ComputeDevice, Encoder, ModelError, Precision, Tokenizer, normalize_caption, preset};

const BATCHES: [usize; 3] = [1, 8, 32];
/// Seconds spent on one cell of the table.
const SECONDS: f64 = 6.0;
const TEXTS: &str = include_str!("texts.jsonl");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = preset("ViT-B-16")?;
    let state = config.random_state(1)?;
    let texts = tokens(config.context_length)?;
    let side = config.vision.image_resolution();
    let pixels: Vec<f32> = (0..32 * 3 * side * side).map(|i| (i % 97) as f32 / 48.0 - 1.0).collect();
    let mut images_per_second = BTreeMap::new();
    let mut texts_per_second = BTreeMap::new();
    for (name, precision) in [("f32", Precision::Fp32), ("bf16", Precision::Bf16)] {
        let encoder = Encoder::new(&config, state.clone(), &ComputeDevice::cpu(), precision)?;
        let images = measure(|_, batch| encoder.encode_images(&pixels[..batch * 3 * side * side], batch).map(drop))?;
        let texts = measure(|call, batch| {
            let chosen = (0..batch).flat_map(|row| &texts[(call * batch + row) % texts.len()]);
            encoder.encode_texts(&chosen.copied().collect::<Vec<u32>>(), batch).map(drop)
        })?;
        images_per_second.insert(name, images);
        texts_per_second.insert(name, texts);
    }
    let threads = std::env::var("RAYON_NUM_THREADS").ok();
    let result =
        json!({ "images_per_second": images_per_second, "texts_per_second": texts_per_second, "threads": threads });
    println!("{result}");
    Ok(())
}

/// Token ids of the texts, padded to the context length as the reference pads them.
fn tokens(length: usize) -> Result<Vec<Vec<u32>>, serde_json::Error> {
    let tokenizer = Tokenizer::default();
    let encode = |line: &str| {
        let text: Value = serde_json::from_str(line)?;
        Ok(tokenizer.encode(&normalize_caption(text["text"].as_str().unwrap_or_default()), length).ids)
    };
    TEXTS.lines().map(encode).collect()
}

/// Items per second at each batch size, from the median call.
fn measure(call: impl Fn(usize, usize) -> Result<(), ModelError>) -> Result<BTreeMap<String, f64>, ModelError> {
    let mut rates = BTreeMap::new();
    for batch in BATCHES {
        call(0, batch)?;
        let mut seconds = Vec::new();
        while seconds.iter().sum::<f64>() < SECONDS || seconds.len() < 3 {
            let started = Instant::now();
            call(seconds.len(), batch)?;
            seconds.push(started.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        rates.insert(batch.to_string(), batch as f64 / seconds[seconds.len() / 2]);
    }
    Ok(rates)
}
