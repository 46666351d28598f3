//! Seconds for a training step on the CPU: ViT-B-16 + RoBERTa-wwm-ext-base-chinese, forward, backward and AdamW in f32.
//!
//! `cargo bench --bench train` prints one JSON object; `benches/train/run.py` puts PyTorch beside it.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;
use tuwen::model::{ComputeDevice, Trainer, TrainerOptions, TrainingBatch, keep_freed_memory, preset};

const BATCHES: [usize; 2] = [8, 16];
const STEPS: usize = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    keep_freed_memory();
    let config = preset("ViT-B-16")?;
    let state = config.random_state(1)?;
    let mut trainer = Trainer::new(&config, state, &[ComputeDevice::cpu()], TrainerOptions::default())?;
    let side = config.vision.image_resolution();
    let length = config.context_length;
    let mut medians = BTreeMap::new();
    for batch in BATCHES {
        let pixels: Vec<f32> = (0..batch * 3 * side * side).map(|i| (i % 97) as f32 / 48.0 - 1.0).collect();
        // Sixteen tokens of each text are used, as is usual for captions.
        let token = |i: usize| if i % length < 16 { 101 + (i * 7919 % 20_000) as u32 } else { 0 };
        let tokens: Vec<u32> = (0..batch * length).map(token).collect();
        let mut seconds = Vec::new();
        for number in 0..=STEPS {
            let started = Instant::now();
            let (pixels, tokens) = (&pixels, &tokens);
            let seed = number as u64;
            trainer.step(TrainingBatch { pixels, tokens, size: batch, positives: None, teacher: None, seed }, 1e-5)?;
            if number > 0 {
                seconds.push(started.elapsed().as_secs_f64());
            }
        }
        seconds.sort_by(f64::total_cmp);
        medians.insert(batch.to_string(), seconds[seconds.len() / 2]);
    }
    println!("{}", json!({ "seconds_per_step": medians, "peak_mib": peak_mib() }));
    Ok(())
}

/// The largest resident size of this process.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}
