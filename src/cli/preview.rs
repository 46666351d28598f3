//! `tuwen preview FILE`.
use std::path::PathBuf;

use clap::Args;
use image::{ImageFormat, Rgb, RgbImage, imageops};
use serde_json::json;

use super::console::Console;
use super::setup::{DeviceArgs, StoreArgs, find_finetune, new_run_id, read_pipeline, unix_seconds};
use super::{Failure, Output};
use crate::augment::{augment, item_rng};
use crate::data::{ErrorClass, Split};
use crate::ingest::{Dataset, Picture, decode};
use crate::pipeline::{NoListener, RunOptions, compile};
use crate::store::{open_artifact, write_whole};
use crate::train::FinetuneSpec;

const GAP: u32 = 6;

#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// The pipeline file.
    file: PathBuf,
    /// The fine-tuning stage [default: the first].
    #[arg(long)]
    stage: Option<String>,
    /// The PNG to write.
    #[arg(long, default_value = "preview.png")]
    output: PathBuf,
    /// Images, one a row.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    images: u32,
    /// Augmentations of each image, after the original.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=32))]
    augmentations: u32,
    /// Side of one cell in pixels.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=512))]
    cell: u32,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &PreviewArgs, console: &Console) -> Result<Output, Failure> {
    let (spec, folder) = read_pipeline(&args.file)?;
    let (id, finetune) = find_finetune(&spec, args.stage.as_deref())?;
    let store = args.store.open()?;
    let plan = compile(&spec, &folder, &store)?.until(&finetune.needs.data)?;
    let options = RunOptions::unpublished(new_run_id()?, unix_seconds);
    let outcome =
        crate::pipeline::run(&plan, &store, &args.device.open_for(&spec)?, console, &options, None, &NoListener)?;
    let step = outcome.steps.last().ok_or_else(|| Failure::new(ErrorClass::Internal, "nothing was ingested"))?;
    let dataset = Dataset::open(&open_artifact(&store, &step.artifact)?)?;
    let sheet = sheet(args, &dataset, finetune, spec.seed)?;
    let mut png = std::io::Cursor::new(Vec::new());
    sheet
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| Failure::new(ErrorClass::Internal, error.to_string()))?;
    write_whole(&args.output, &png.into_inner())?;
    let (width, height) = sheet.dimensions();
    Ok(Output {
        text: format!(
            "{}: {width} x {height}, originals on the left, augmentations of stage {id}",
            args.output.display()
        ),
        json: json!({ "output": args.output, "stage": id, "width": width, "height": height }),
    })
}

/// Rows of an original and its augmentations, each drawn as training draws them.
fn sheet(args: &PreviewArgs, dataset: &Dataset, spec: &FinetuneSpec, seed: u64) -> Result<RgbImage, Failure> {
    let ids = dataset.image_ids(Split::Train)?;
    let step = (ids.len() / args.images as usize).max(1);
    let shown: Vec<&String> = ids.iter().step_by(step).take(args.images as usize).collect();
    let width = (args.augmentations + 1) * (args.cell + GAP) + 3 * GAP;
    let height = shown.len() as u32 * (args.cell + GAP) + GAP;
    let mut sheet = RgbImage::from_pixel(width, height, Rgb([236, 238, 242]));
    for (row, id) in (0u32..).zip(shown) {
        let (picture, _) = decode(&dataset.image_bytes(id)?)?;
        let y = GAP + row * (args.cell + GAP);
        paste(&mut sheet, picture.clone().into_rgb(), GAP, y, args.cell);
        for epoch in 1..=args.augmentations {
            let mut rng = item_rng(seed, u64::from(epoch), id);
            let view = augment(&picture, &spec.augment, args.cell, &mut rng);
            paste(&mut sheet, view, 2 * GAP + epoch * (args.cell + GAP), y, args.cell);
        }
    }
    Ok(sheet)
}

/// Fits a picture into a cell, its shape kept.
fn paste(sheet: &mut RgbImage, picture: Picture, x: u32, y: u32, cell: u32) {
    let Some(image) = RgbImage::from_raw(picture.width, picture.height, picture.pixels) else { return };
    let scale = f64::from(cell) / f64::from(picture.width.max(picture.height));
    let side = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, cell);
    let (width, height) = (side(picture.width), side(picture.height));
    let image = imageops::resize(&image, width, height, imageops::FilterType::CatmullRom);
    let (left, top) = (x + (cell - width) / 2, y + (cell - height) / 2);
    imageops::replace(sheet, &image, i64::from(left), i64::from(top));
}
