//! How well captions that were held out find their images by the other captions, over the weight of the second field.
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use serde_json::{Value, json};
use tuwen::index::{Analyzer, AnalyzerKind, Document, KeywordIndex, grams, write_keywords};

use super::{document, lines};

const WEIGHTS: [f32; 10] = [0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0];
/// A text is held out in one of these parts, by a hash of its id: the five captions of a picture are ids that lie evenly apart.
const PARTS: u64 = 5;
const DEPTH: usize = 100;

/// A caption, its number, the images it is about, and an image that must not answer it.
struct Caption {
    id: u64,
    text: String,
    images: BTreeSet<String>,
    not: Option<String>,
}

/// By weight: MRR, hit@1, 5 and 10 of every data set of `sample_data`.
pub fn measure(folder: &Path) -> Result<Value, Box<dyn Error>> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample_data");
    let mut found = BTreeMap::new();
    for data in ["muge", "flickr30k-cn", "surfaces"] {
        let captions = if data == "surfaces" { families(&samples)? } else { labelled(&samples.join(data))? };
        let mut ranks: Vec<Vec<Option<usize>>> = vec![Vec::new(); WEIGHTS.len()];
        // In `surfaces` a family has one caption for each picture: a picture is found by that of the other.
        let parts = if data == "surfaces" { 1 } else { PARTS };
        for part in 0..parts {
            let is_held_out = |caption: &Caption| {
                caption.not.is_none() && (caption.id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % parts == part
            };
            ask(folder, &captions, &is_held_out, &mut ranks)?;
        }
        let rows = WEIGHTS.iter().zip(&ranks).map(|(weight, ranks)| summary(*weight, ranks));
        found.insert(data, rows.collect::<Vec<Value>>());
    }
    Ok(json!(found))
}

fn ask(
    folder: &Path,
    captions: &[Caption],
    is_held_out: &dyn Fn(&Caption) -> bool,
    ranks: &mut [Vec<Option<usize>>],
) -> Result<(), Box<dyn Error>> {
    let mut texts: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for caption in captions.iter().filter(|caption| !is_held_out(caption)) {
        for image in caption.not.iter().chain(caption.images.iter().filter(|_| caption.not.is_none())) {
            texts.entry(image).or_default().push(caption.text.clone());
        }
    }
    let images: Vec<&String> = texts.keys().copied().collect();
    let documents: Vec<Document> = texts
        .values()
        .enumerate()
        .map(|(row, texts)| Document { captions: texts.clone(), ..document(row, "") })
        .collect();
    let out = folder.join("weights");
    if out.exists() {
        std::fs::remove_dir_all(&out)?;
    }
    let analyzer = Analyzer::new(AnalyzerKind::Jieba, true, None)?;
    write_keywords(&out, &analyzer, true, &documents)?;
    let index = KeywordIndex::open(&out)?;
    for caption in captions.iter().filter(|caption| caption.not.is_some() || is_held_out(caption)) {
        // An image of which no other caption is left cannot be found.
        if !caption.images.iter().any(|image| texts.contains_key(image)) {
            continue;
        }
        let (terms, grams) = (analyzer.terms(&caption.text), grams(&analyzer.normalize(&caption.text)));
        for (weight, ranks) in WEIGHTS.iter().zip(ranks.iter_mut()) {
            let list = index.search(&terms, &grams, *weight, DEPTH)?;
            let mut others =
                list.iter().map(|(row, _)| images[*row]).filter(|image| Some(*image) != caption.not.as_ref());
            ranks.push(others.position(|image| caption.images.contains(image)));
        }
    }
    Ok(())
}

fn summary(weight: f32, ranks: &[Option<usize>]) -> Value {
    let rows = ranks.len() as f64;
    let mrr = ranks.iter().flatten().map(|rank| 1.0 / (*rank as f64 + 1.0)).sum::<f64>() / rows;
    let hit = |k: usize| ranks.iter().flatten().filter(|rank| **rank < k).count() as f64 / rows;
    json!({ "weight": weight, "queries": ranks.len(), "mrr": mrr, "hit_1": hit(1), "hit_5": hit(5), "hit_10": hit(10) })
}

/// Captions of all splits that have labels.
fn labelled(folder: &Path) -> Result<Vec<Caption>, Box<dyn Error>> {
    let mut captions = Vec::new();
    for split in ["train", "valid", "test"] {
        for line in lines(&folder.join(format!("{split}_texts.jsonl")))? {
            let row: Value = serde_json::from_str(&line)?;
            let images: BTreeSet<String> =
                row["image_ids"].as_array().into_iter().flatten().map(Value::to_string).collect();
            let (id, text) = (row["text_id"].as_u64().unwrap_or_default(), row["text"].as_str().unwrap_or_default());
            captions.push(Caption { id, text: text.to_owned(), images, not: None });
        }
    }
    Ok(captions)
}

/// Captions of `surfaces`: the other pictures of the family answer them.
fn families(samples: &Path) -> Result<Vec<Caption>, Box<dyn Error>> {
    let rows = lines(&samples.join("surfaces/captions.csv"))?;
    let rows: Vec<Vec<&str>> = rows.iter().skip(1).map(|row| row.split(',').collect()).collect();
    let caption = |(id, row): (u64, &Vec<&str>)| {
        let family = rows.iter().filter(|other| other[2] == row[2] && other[0] != row[0]);
        let images = family.map(|other| other[0].to_owned()).collect();
        Caption { id, text: row[1].to_owned(), images, not: Some(row[0].to_owned()) }
    };
    Ok((0..).zip(&rows).map(caption).collect())
}
