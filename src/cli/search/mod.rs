//! `tuwen search`.
mod output;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::open_release::OpenRelease;
use super::setup::{DeviceArgs, StoreArgs, find_release, reading};
use super::{Failure, Output};
use crate::data::{ErrorClass, ItemKind, Split};
use crate::embed::{encode_images, encode_texts};
use crate::index::{Query, SearchMode, SearchOptions};
use crate::ingest::{IngestError, decode};
use crate::model::nearest::RowSet;
use crate::store::write_whole;

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words to search for.
    #[arg(long, required_unless_present = "image", conflicts_with = "image")]
    text: Option<String>,
    /// An image to search by.
    #[arg(long)]
    image: Option<PathBuf>,
    /// What is found; keywords answer queries in words, and vectors both kinds of query.
    #[arg(long = "in", value_enum, default_value_t = Among::Images)]
    among: Among,
    /// Number of results.
    #[arg(long, short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    k: u32,
    /// Which side of the index answers.
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    mode: Mode,
    /// Name of the pipeline whose release is searched, where the store has several.
    #[arg(long)]
    pipeline: Option<String>,
    /// Only what meets this condition over the columns of `images`, e.g. "width >= 200 AND split = 'test'", or with `--in texts`
    /// over those of `texts`.
    #[arg(long = "where", value_name = "SQL")]
    condition: Option<String>,
    /// Write a page with what was found.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the found images, or those of the found texts, into this folder.
    #[arg(long, value_name = "FOLDER")]
    save_images: Option<PathBuf>,
    /// Write small pictures of the same (JPEG, longer side 128) into this folder and show the path of each.
    #[arg(long, value_name = "FOLDER")]
    thumbnails: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Among {
    Images,
    Texts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Keywords only.
    Text,
    /// Vectors only.
    Vector,
    /// Both, fused; for an image there are vectors only.
    Hybrid,
}

pub fn run(args: &SearchArgs) -> Result<Output, Failure> {
    let store = Arc::new(args.store.open()?);
    let release = find_release(&store, args.pipeline.as_deref())?;
    reading(&store, &release, || search(args, &OpenRelease::new(Arc::clone(&store), release.clone())?))
}

fn search(args: &SearchArgs, open: &OpenRelease) -> Result<Output, Failure> {
    let among = match args.among {
        Among::Images => ItemKind::Image,
        Among::Texts => ItemKind::Text,
    };
    let mode = match args.mode {
        Mode::Text => SearchMode::Text,
        Mode::Vector => SearchMode::Vector,
        Mode::Hybrid => SearchMode::Hybrid,
    };
    let vector = match mode {
        SearchMode::Text => None,
        SearchMode::Vector | SearchMode::Hybrid => Some(encode(args, open)?),
    };
    let model = open.searcher.about().model.clone();
    let query = Query { text: args.text.as_deref(), vector: vector.as_ref().map(|vector| (vector.as_slice(), &model)) };
    let allowed = args.condition.as_ref().map(|sql| rows_where(sql, among, open)).transpose()?;
    let options = SearchOptions { among, mode, k: args.k as usize, allowed: allowed.as_ref() };
    let hits = open.searcher.search(query, &options)?;
    if let Some(path) = &args.html {
        let title = args.text.clone().or(args.image.as_ref().map(|path| path.display().to_string()));
        write_whole(path, output::page(&title.unwrap_or_default(), &hits, open)?.as_bytes())?;
    }
    if let Some(folder) = &args.save_images {
        output::save_images(&hits, folder, open)?;
    }
    let thumbnails = match &args.thumbnails {
        Some(folder) => Some(output::save_thumbnails(&hits, folder, open)?),
        None => None,
    };
    Ok(Output {
        text: output::table(&hits, thumbnails.as_deref()),
        json: output::to_json(&open.release, &hits, thumbnails.as_deref())?,
    })
}

/// The query's vector, by the model that the index was built with.
fn encode(args: &SearchArgs, open: &OpenRelease) -> Result<Vec<f32>, Failure> {
    let picture = match &args.image {
        None => None,
        Some(path) => {
            let bytes = std::fs::read(path).map_err(IngestError::io(path))?;
            let (picture, _) = decode(&bytes)
                .map_err(|error| Failure::new(ErrorClass::BadInput, format!("{}: {error}", path.display())))?;
            Some(picture)
        }
    };
    let encoder = open.encoder(&args.device.open()?)?;
    Ok(match picture {
        Some(picture) => encode_images(&encoder, &[picture])?,
        None => encode_texts(&encoder, &[args.text.as_deref().unwrap_or_default()])?,
    })
}

/// The rows whose images or texts meet a condition.
fn rows_where(sql: &str, among: ItemKind, open: &OpenRelease) -> Result<RowSet, Failure> {
    let mut ids = HashSet::new();
    for data in open.dataset_names() {
        let dataset = open.dataset(data)?;
        for split in Split::ALL {
            ids.extend(dataset.ids_where(among, split, sql)?.into_iter().map(|id| format!("{data}/{id}")));
        }
    }
    Ok(open.searcher.rows_where(among, |document| ids.contains(&document.id))?)
}
