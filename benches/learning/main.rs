//! The batches of `pipeline.yaml` in the order that training takes them, for PyTorch to train on: `cargo bench --bench learning --
//! STORE OUT`, after `tuwen run pipeline.yaml --store STORE`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use tuwen::augment::evaluation_batch;
use tuwen::data::{Manifest, Split};
use tuwen::ingest::Dataset;
use tuwen::model::{Checkpoint, NamedTensor, StateDict, Tokenizer, normalize_caption, write_safetensors};
use tuwen::store::{Sealed, Store, StoreOptions, open_artifact};
use tuwen::train::{DroppedItems, Loader, LoaderOptions, PositivesRule, SamplerRule};

const SEED: u64 = 123;
const BATCH_SIZE: usize = 64;
/// Steps whose batches are written out.
const STEPS: usize = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let (Some(store), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: cargo bench --bench learning -- STORE OUT".into());
    };
    let (store, out) = (Path::new(&store), Path::new(&out));
    let store = Store::open(&store.to_string_lossy(), StoreOptions::cached_in(store))?;
    let dataset = Dataset::open(&artifact(&store, "dataset", "data")?)?;
    let base = Checkpoint::open(&artifact(&store, "checkpoint", "base")?.folder)?;
    let side = base.config.vision.image_resolution();
    let length = base.config.context_length;
    let options = LoaderOptions {
        batch_size: BATCH_SIZE,
        side: side as u32,
        teacher_side: None,
        context_length: length,
        augment: Vec::new(),
        positives: PositivesRule::Own,
        sampler: SamplerRule::Shuffled,
        dropped: DroppedItems::default(),
        seed: SEED,
    };
    let loader = Loader::new(&dataset, "data", options)?;
    std::fs::create_dir_all(out)?;
    base.save(out)?;
    // Every picture once; batches name them by position.
    let images = dataset.image_ids(Split::Train)?;
    let mut tensors = StateDict::new();
    let pixels = evaluation_batch(&dataset, &images, side)?;
    tensors.insert("train_pixels".to_owned(), NamedTensor { shape: vec![images.len(), 3, side, side], values: pixels });
    let (mut order, mut epoch) = (Vec::new(), 0);
    while order.len() < STEPS * BATCH_SIZE {
        epoch += 1;
        order.extend(loader.order(epoch));
    }
    let position: BTreeMap<&str, usize> = images.iter().map(String::as_str).zip(0..).collect();
    let tokenizer = Tokenizer::default();
    let (mut image_rows, mut tokens) = (Vec::new(), Vec::new());
    for pair in order.iter().take(STEPS * BATCH_SIZE) {
        let (text, image) = loader.pairs().get(*pair).ok_or("a pair is out of range")?;
        image_rows.push(*position.get(image).ok_or("an image is missing")? as f32);
        tokens.extend(tokenizer.encode(text, length).ids.iter().map(|id| *id as f32));
    }
    tensors.insert("image_rows".to_owned(), NamedTensor { shape: vec![STEPS, BATCH_SIZE], values: image_rows });
    tensors.insert("tokens".to_owned(), NamedTensor { shape: vec![STEPS, BATCH_SIZE, length], values: tokens });
    validation(&dataset, side, length, &mut tensors)?;
    write_safetensors(&out.join("batches.safetensors"), &tensors)?;
    println!("{}", json!({ "images": images.len(), "pairs": loader.pairs().len(), "steps": STEPS }));
    Ok(())
}

/// The validation pool: pixels, tokens, and which belong together.
fn validation(
    dataset: &Dataset,
    side: usize,
    length: usize,
    tensors: &mut StateDict,
) -> Result<(), Box<dyn std::error::Error>> {
    let (images, texts) = (dataset.image_ids(Split::Valid)?, dataset.texts(Split::Valid)?);
    let tokenizer = Tokenizer::default();
    let ids = texts.iter().flat_map(|text| tokenizer.encode(&normalize_caption(&text.text), length).ids);
    let tokens: Vec<f32> = ids.map(|id| id as f32).collect();
    let mut relevant = vec![0.0; texts.len() * images.len()];
    for pair in dataset.pairs(Split::Valid)? {
        let text = texts.iter().position(|text| text.id == pair.text_id);
        let image = images.iter().position(|id| *id == pair.image_id);
        if let (Some(text), Some(image)) = (text, image) {
            relevant[text * images.len() + image] = 1.0;
        }
    }
    let pixels = evaluation_batch(dataset, &images, side)?;
    let mut add =
        |name: &str, shape: Vec<usize>, values| tensors.insert(name.to_owned(), NamedTensor { shape, values });
    add("valid_pixels", vec![images.len(), 3, side, side], pixels);
    add("valid_tokens", vec![texts.len(), length], tokens);
    add("valid_relevant", vec![texts.len(), images.len()], relevant);
    Ok(())
}

/// The folder of a stage's artifact.
fn artifact(store: &Store, kind: &str, stage: &str) -> Result<Sealed, Box<dyn std::error::Error>> {
    for key in store.list(&format!("artifacts/{kind}"))?.iter().filter(|key| key.ends_with("/manifest.json")) {
        let manifest: Manifest = serde_json::from_slice(&store.read(key)?.unwrap_or_default())?;
        if manifest.stage == stage {
            return Ok(open_artifact(store, &manifest.artifact)?);
        }
    }
    Err(format!("{}: no artifact of stage `{stage}`", store.url()).into())
}
