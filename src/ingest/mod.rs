//! What came in? Reads a source of any format into tables and an image store; bad rows go to quarantine.

mod chinese_clip;
mod dataset;
mod decode;
mod error;
mod folder;
mod jpeg;
mod perceptual_hash;
mod picture;
mod source;
mod spec;
mod split_rule;
mod writer;

use std::path::PathBuf;

use crate::data::{Fingerprint, FingerprintBuilder, Split};
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::digest_file;

pub use chinese_clip::{LineKind, file_rows};
pub use dataset::{Dataset, Pair, Text};
pub use decode::decode;
pub use error::IngestError;
pub use folder::image_rows as folder_rows;
pub use picture::{Mode, Picture, rounded_product};
pub use source::{ImageContent, ImageRow, SourceRow, SourceRows, read_image};
pub use spec::{IngestSpec, SourceSpec, SplitSpec};
pub use split_rule::SplitRule;
pub use writer::table_file;

use writer::{DatasetWriter, IngestStats};

/// Version of the stage's results.
pub const VERSION: u32 = 2;

/// Larger image files are refused before they are read.
pub const MAX_IMAGE_BYTES: usize = 64 << 20;

/// `kind: ingest`.
#[derive(Debug, Clone)]
pub struct Ingest {
    pub spec: IngestSpec,
    pub seed: u64,
}

impl Stage for Ingest {
    fn run_shard(&self, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
        let mut writer = DatasetWriter::create(context.out, context.scratch)?;
        let progress = context.monitor.begin(context.stage, None, "rows");
        for (index, row) in self.rows()?.enumerate() {
            writer.push(row?)?;
            if index % 64 == 63 {
                progress.advance(64);
                context.monitor.check_stop()?;
            }
        }
        let (stats, quarantine) = writer.finish()?;
        self.check(&stats, &quarantine)?;
        self.report(context, &stats)?;
        Ok(receipt(shard, &stats))
    }
}

impl Ingest {
    fn rows(&self) -> Result<SourceRows, IngestError> {
        match &self.spec.source {
            SourceSpec::ChineseClip { root, splits } => Ok(chinese_clip::rows(root, splits)),
            SourceSpec::Folder { root, captions } => folder::rows(root, captions, self.spec.split.as_ref(), self.seed),
        }
    }

    /// Digest over everything that is read; the fingerprint of the data set depends on it, not on any path.
    pub fn source_digest(&self) -> Result<Fingerprint, StageError> {
        let mut builder = FingerprintBuilder::new("source", 1);
        for file in self.files()? {
            if !file.exists() {
                return Err(IngestError::Missing { path: file }.into());
            }
            let (_, digest) = digest_file(&file)?;
            let name = file.strip_prefix(self.spec.source.root()).unwrap_or(&file);
            builder = builder.field(&name.to_string_lossy(), digest);
        }
        Ok(builder.finish())
    }

    fn files(&self) -> Result<Vec<PathBuf>, IngestError> {
        match &self.spec.source {
            SourceSpec::ChineseClip { root, splits } => Ok(chinese_clip::files(root, splits)),
            SourceSpec::Folder { root, captions } => {
                let mut files = vec![root.join(captions)];
                files.extend(folder::image_files(root)?);
                Ok(files)
            }
        }
    }

    /// Every split that was asked for must have rows, and quarantine must stay below its limit.
    fn check(&self, stats: &IngestStats, quarantine: &std::path::Path) -> Result<(), IngestError> {
        let tallies = [stats.images, stats.texts, stats.pairs];
        let rows: u64 = tallies.iter().map(|tally| tally.rows_in).sum();
        let quarantined: u64 = tallies.iter().map(|tally| tally.quarantined).sum();
        if quarantined as f64 > self.spec.max_quarantine * rows as f64 {
            return Err(IngestError::TooManyBadRows {
                quarantined,
                rows,
                allowed: 100.0 * self.spec.max_quarantine,
                first: stats.first_bad.clone().unwrap_or_default(),
                table: quarantine.to_owned(),
            });
        }
        for (split, reason) in self.expected_splits() {
            let [images, texts, _] = stats.by_split.get(&split).copied().unwrap_or_default();
            if images == 0 || texts == 0 {
                return Err(IngestError::EmptySplit { split, reason });
            }
        }
        Ok(())
    }

    fn expected_splits(&self) -> Vec<(Split, String)> {
        match (&self.spec.source, &self.spec.split) {
            (SourceSpec::ChineseClip { splits, .. }, _) => {
                let reason = "its files hold no usable row; leave it out of `source.splits`".to_owned();
                splits.iter().map(|split| (*split, reason.clone())).collect()
            }
            (SourceSpec::Folder { .. }, None) => Vec::new(),
            (SourceSpec::Folder { .. }, Some(split)) => {
                let shares = [
                    (Split::Train, 1.0 - split.valid - split.test),
                    (Split::Valid, split.valid),
                    (Split::Test, split.test),
                ];
                let wanted = shares.into_iter().filter(|(_, share)| *share > 1e-9);
                wanted
                    .map(|(name, share)| {
                        (name, format!("no group fell into its share of {share:.2}; raise it or add a `split` column"))
                    })
                    .collect()
            }
        }
    }

    fn report(&self, context: &StageContext<'_>, stats: &IngestStats) -> Result<(), StageError> {
        let [images, texts, pairs] = [stats.images, stats.texts, stats.pairs];
        let bad = images.quarantined + texts.quarantined + pairs.quarantined;
        context.note(&format!(
            "{} images, {} texts, {} pairs, {bad} rows in quarantine",
            images.rows_out, texts.rows_out, pairs.rows_out
        ));
        if let (true, Some(first)) = (bad > 0, &stats.first_bad) {
            context.warn(&format!("{bad} rows in quarantine, first: {first}"));
        }
        if let SourceSpec::Folder { root, .. } = &self.spec.source {
            let files = folder::image_files(root)?.len() as u64;
            if files > images.rows_in {
                context.warn(&format!("{} image files have no caption and were left out", files - images.rows_in));
            }
        }
        Ok(())
    }
}

fn receipt(shard: &Shard, stats: &IngestStats) -> ShardReceipt {
    use crate::data::table::Table;
    let sum = |pick: fn(&writer::Tally) -> u64| [stats.images, stats.texts, stats.pairs].iter().map(pick).sum::<u64>();
    let tables = [Table::Images, Table::Texts, Table::Pairs, Table::Quarantine];
    let mut files: Vec<String> = tables.into_iter().map(table_file).collect();
    files.push(writer::IMAGE_STORE_FILE.to_owned());
    ShardReceipt {
        shard: shard.clone(),
        rows_in: sum(|tally| tally.rows_in),
        rows_out: sum(|tally| tally.rows_out),
        rows_quarantined: sum(|tally| tally.quarantined),
        files,
        stats: stats.to_json(),
    }
}
