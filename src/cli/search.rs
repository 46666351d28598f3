//! `tuwen search`.
use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::setup::{DeviceArgs, StoreArgs, find_release, reading};
use super::{Failure, Output};
use crate::data::{ArtifactKind, ErrorClass, ItemKind, Release, Split};
use crate::embed::{encode_images, encode_texts};
use crate::index::{Hit, Query, SearchMode, Searcher};
use crate::ingest::{Dataset, IngestError, decode};
use crate::model::nearest::RowSet;
use crate::model::{Checkpoint, Encoder, Precision};
use crate::report::{Gallery, HitFacts, render_hits, thumbnail};
use crate::stage::StageError;
use crate::store::{Store, StoreError, open_artifact, write_whole};

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words to search for.
    #[arg(long, required_unless_present = "image", conflicts_with = "image")]
    text: Option<String>,
    /// An image to search by.
    #[arg(long)]
    image: Option<PathBuf>,
    /// Number of results.
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    k: u32,
    /// Which side of the index answers.
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    mode: Mode,
    /// Name of the pipeline whose release is searched, where the store has several.
    #[arg(long)]
    pipeline: Option<String>,
    /// Only images that meet this condition over the columns of `images`, e.g. "width >= 200 AND split = 'test'".
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Write a page with the found images.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the found images into this folder.
    #[arg(long, value_name = "FOLDER")]
    save_images: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Keywords only.
    Text,
    /// Vectors only.
    Vector,
    /// Both, fused.
    Hybrid,
}

pub fn run(args: &SearchArgs) -> Result<Output, Failure> {
    let store = args.store.open()?;
    let release = find_release(&store, args.pipeline.as_deref())?;
    reading(&store, &release, || search(args, &store, &release))
}

fn search(args: &SearchArgs, store: &Store, release: &Release) -> Result<Output, Failure> {
    let index = release.artifacts.values().find(|key| key.kind == ArtifactKind::Index);
    let index = index.ok_or_else(|| {
        let message =
            format!("release {} of {} has no index; add a stage of kind index", release.number, release.pipeline);
        Failure::new(ErrorClass::NotFound, message)
    })?;
    let searcher = Searcher::open(&open_artifact(store, index)?.folder)?;
    let mode = match args.mode {
        Mode::Text => SearchMode::Text,
        Mode::Vector => SearchMode::Vector,
        Mode::Hybrid => SearchMode::Hybrid,
    };
    let vector = match mode {
        SearchMode::Text => None,
        SearchMode::Vector | SearchMode::Hybrid => Some(encode(args, store, &searcher)?),
    };
    let model = searcher.about().model.clone();
    let query = Query { text: args.text.as_deref(), vector: vector.as_ref().map(|vector| (vector.as_slice(), &model)) };
    let allowed = match &args.condition {
        Some(sql) => Some(rows_where(sql, &searcher, release, store)?),
        None => None,
    };
    let hits = searcher.search(query, mode, args.k as usize, allowed.as_ref())?;
    if let Some(path) = &args.html {
        let title = args.text.clone().or(args.image.as_ref().map(|path| path.display().to_string()));
        let page = page(&title.unwrap_or_default(), &hits, release, store)?;
        write_whole(path, page.as_bytes())?;
    }
    if let Some(folder) = &args.save_images {
        save_images(&hits, folder, release, store)?;
    }
    Ok(Output { text: table(&hits), json: to_json(release, &hits) })
}

/// The query's vector, by the model that the index was built with.
fn encode(args: &SearchArgs, store: &Store, searcher: &Searcher) -> Result<Vec<f32>, Failure> {
    let picture = match &args.image {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).map_err(IngestError::io(path))?;
            let (picture, _) = decode(&bytes)
                .map_err(|error| Failure::new(ErrorClass::BadInput, format!("{}: {error}", path.display())))?;
            Some(picture)
        }
    };
    let Checkpoint { config, state } = Checkpoint::open(&open_artifact(store, &searcher.about().model)?.folder)?;
    let encoder = Encoder::new(&config, state, &args.device.open()?, Precision::Fp32)?;
    Ok(match picture {
        Some(picture) => encode_images(&encoder, &[picture])?,
        None => encode_texts(&encoder, &[args.text.as_deref().unwrap_or_default()])?,
    })
}

/// The rows whose images meet a condition.
fn rows_where(sql: &str, searcher: &Searcher, release: &Release, store: &Store) -> Result<RowSet, Failure> {
    let mut ids = HashSet::new();
    for (data, key) in release.artifacts.iter().filter(|(_, key)| key.kind == ArtifactKind::Dataset) {
        let dataset = Dataset::open(&open_artifact(store, key)?)?;
        for split in Split::ALL {
            ids.extend(dataset.ids_where(ItemKind::Image, split, sql)?.into_iter().map(|id| format!("{data}/{id}")));
        }
    }
    Ok(searcher.rows_where(|document| ids.contains(&document.id)).map_err(StageError::from)?)
}

/// The hits with their pictures.
fn page(title: &str, hits: &[Hit], release: &Release, store: &Store) -> Result<String, Failure> {
    let mut gallery = Gallery::default();
    let mut facts = Vec::new();
    for hit in hits {
        let url = || {
            let jpeg = thumbnail(&image_bytes(hit, release, store)?)?;
            Ok(format!("data:image/jpeg;base64,{}", base64_simd::STANDARD.encode_to_string(jpeg)))
        };
        facts.push(HitFacts {
            id: hit.id.clone(),
            score: hit.score,
            text: hit.text.clone(),
            split: hit.document.split.to_string(),
            picture: Some(gallery.add(&hit.id, url)?),
        });
    }
    Ok(render_hits(title, &facts, &gallery))
}

/// The bytes of a found image.
fn image_bytes(hit: &Hit, release: &Release, store: &Store) -> Result<Vec<u8>, StageError> {
    let data = &hit.document.data;
    let missing = || StoreError::NoArtifact { key: data.clone(), store: store.url().to_owned() };
    let key = release.artifacts.get(data).ok_or_else(missing)?;
    Dataset::open(&open_artifact(store, key)?)?.image_bytes(&hit.document.image_id)
}

fn save_images(hits: &[Hit], folder: &Path, release: &Release, store: &Store) -> Result<(), Failure> {
    for (hit, rank) in hits.iter().zip(1..) {
        let data = &hit.document.data;
        let bytes = image_bytes(hit, release, store)?;
        let (_, format) = decode(&bytes)?;
        let extension = if format == "jpeg" { "jpg" } else { format };
        write_whole(&folder.join(format!("{rank:03}-{data}.{extension}")), &bytes)?;
    }
    Ok(())
}

fn table(hits: &[Hit]) -> String {
    if hits.is_empty() {
        return "nothing found".to_owned();
    }
    let mut text = String::new();
    for (hit, rank) in hits.iter().zip(1..) {
        let _ = writeln!(text, "{rank:>3}  {:.4}  {}  {}", hit.score, hit.image, hit.text);
    }
    text
}

fn to_json(release: &Release, hits: &[Hit]) -> Value {
    json!({ "pipeline": release.pipeline, "release": release.number, "hits": hits })
}
