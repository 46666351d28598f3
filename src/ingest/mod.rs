//! What came in? Reads a source of any format into tables and an image store; bad rows go to quarantine.

mod audit;
mod background;
mod base64;
mod captions;
mod chinese_clip;
mod compressed;
mod dataset;
mod decode;
mod difference;
mod error;
mod examine;
mod export;
mod flickr30k_cn;
mod folder;
mod formats;
mod groups;
mod image_batch;
mod image_sink;
mod jpeg;
mod known;
mod lines;
mod lmdb_file;
mod muge;
mod near_duplicates;
mod normalize_text;
mod parquet_dataset;
mod parquet_rows;
mod perceptual_hash;
mod pickle;
mod picture;
mod prepare;
mod read_ahead;
mod reference_lmdb;
mod seen;
mod source;
mod spec;
mod split_rule;
mod statistics;
mod table_sink;
mod tally;
mod text_batch;
mod text_key;
mod union_find;
mod webdataset;
mod writer;

use std::path::Path;

use crate::data::{Fingerprint, FingerprintBuilder, Split};
use crate::model::Tokenizer;
use crate::stage::{Shard, ShardReceipt, Stage, StageContext, StageError};
use crate::store::{SheetPool, SourceFolder, Sources};

pub use audit::{Audit, AuditNeeds, AuditSpec, Leak, Leaks, OnLeak};
pub use chinese_clip::file_rows;
pub use dataset::{Dataset, Pair, Text};
pub use decode::{JpegHeader, decode, decode_jpeg_rows, decode_region, inspect, read_jpeg_header};
pub use difference::{Difference, difference};
pub use error::IngestError;
pub use export::{ExportFormat, Exported, export};
pub use folder::image_rows as folder_rows;
pub use formats::rows as source_rows;
pub use jpeg::{Region, RowSink};
pub use lines::LineKind;
pub use normalize_text::{TextNormalization, normalize_text};
pub use pickle::{PickleValue, parse as parse_pickle};
pub use picture::{Mode, Picture, rounded_product};
pub use source::{ImageContent, ImageRow, SourceRow, SourceRows};
pub use spec::{DecodeCheck, GroupBy, IdenticalImages, IngestSpec, SourceSpec, SplitSpec, WhereSpec};
pub use split_rule::SplitRule;
pub use statistics::{Quantiles, Statistics};
pub use union_find::UnionFind;
pub use writer::table_file;

use examine::Examiner;
use groups::Groups;
use known::KnownImages;
use prepare::Preparer;
use read_ahead::read_ahead;
use statistics::STATISTICS_FILE;
use tally::IngestStats;
use writer::{DatasetWriter, Written};

/// Version of the stage's results.
pub const VERSION: u32 = 4;

/// Rows that one thread reads and looks at, and the bytes of images beyond which there are no more.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

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
        let source = context.sources.open(self.spec.source.root())?;
        let known = match context.base.filter(|base| base.manifest.code == VERSION) {
            Some(base) => KnownImages::read(base, self.spec.decode)?,
            None => KnownImages::default(),
        };
        let decode = self.spec.decode;
        let examiner = Examiner { source: &source, digests: &context.sources.digests, decode, known: &known };
        let rows = || formats::rows(&self.spec.source, &source, context.scratch);
        let groups = match self.spec.split.as_ref().map(|split| split.group_by.as_slice()) {
            None | Some([]) => Groups::default(),
            Some(by) => {
                let progress = context.monitor.begin(&format!("{}: groups", context.stage), None, "images");
                Groups::find(rows()?, &examiner, by, progress.as_ref(), || context.monitor.check_stop())?
            }
        };
        let split = SplitRule::new(self.spec.split.as_ref(), groups, self.seed);
        let preparer = Preparer { examiner, normalize: &self.spec.normalize_text, sheets: SheetPool::default() };
        // Its vocabulary is read while the first images are.
        rayon::spawn(|| drop(Tokenizer::default()));
        let mut writer = DatasetWriter::create(context.out, context.scratch, &self.spec, examiner, split)?;
        let progress = context.monitor.begin(context.stage, None, "rows");
        let prepare = |batch| preparer.prepare(batch);
        read_ahead(batches(rows()?), prepare, rayon::current_num_threads(), |batch| {
            progress.advance(batch.rows.len() as u64);
            context.monitor.check_stop()?;
            writer.push(batch)
        })?;
        let written = writer.finish()?;
        self.check(&written.stats, &written.quarantine)?;
        written.statistics.save(context.out)?;
        self.report(context, &source, &written.stats)?;
        Ok(receipt(shard, written))
    }
}

impl Ingest {
    /// Digest over everything that is read; the fingerprint of the data set depends on it, not on any path.
    pub fn source_digest(&self, sources: &Sources) -> Result<Fingerprint, StageError> {
        let source = sources.open(self.spec.source.root())?;
        let mut builder = FingerprintBuilder::new("source", 1);
        for name in formats::files(&self.spec.source, &source)? {
            let digest = source.digest(&name, &sources.digests).map_err(IngestError::from)?;
            builder = builder.field(&name, digest);
        }
        Ok(builder.finish())
    }

    /// Every split that was asked for must have rows, and quarantine must stay below its limit.
    fn check(&self, stats: &IngestStats, quarantine: &Path) -> Result<(), IngestError> {
        let rows = stats.sum(|tally| tally.rows_in);
        let quarantined = stats.sum(|tally| tally.quarantined);
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
        let Some(split) = &self.spec.split else {
            let reason = "its files hold no usable row, or `where` leaves none; leave it out of `source.splits` or `source.captions`";
            return self.spec.source.splits().into_iter().flatten().map(|split| (split, reason.to_owned())).collect();
        };
        let shares =
            [(Split::Train, 1.0 - split.valid - split.test), (Split::Valid, split.valid), (Split::Test, split.test)];
        let reason =
            |share: f64| format!("no group fell into its share of {share:.2}; raise it or name splits in the source");
        shares.into_iter().filter(|(_, share)| *share > 1e-9).map(|(name, share)| (name, reason(share))).collect()
    }

    fn report(&self, context: &StageContext<'_>, source: &SourceFolder, stats: &IngestStats) -> Result<(), StageError> {
        let [images, texts, pairs] = [stats.images, stats.texts, stats.pairs];
        let bad = stats.sum(|tally| tally.quarantined);
        let mut line = format!(
            "{} images, {} texts, {} pairs, {bad} rows in quarantine",
            images.rows_out, texts.rows_out, pairs.rows_out
        );
        let more = [
            (stats.sum(|tally| tally.filtered), "left out by `where`"),
            (stats.sum(|tally| tally.merged), "merged"),
            (stats.reused, "images as they were"),
        ];
        for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
            line.push_str(&format!(", {count} {what}"));
        }
        context.note(&line);
        if let (true, Some(first)) = (bad > 0, &stats.first_bad) {
            context.warn(&format!("{bad} rows in quarantine, first: {first}"));
        }
        if let SourceSpec::Folder { .. } = &self.spec.source {
            let files = folder::image_files(source)?.len() as u64;
            if files > images.rows_in {
                context.warn(&format!("{} image files have no caption and were left out", files - images.rows_in));
            }
        }
        Ok(())
    }
}

/// Rows of a source, some at a time.
fn batches(rows: SourceRows) -> impl FnMut() -> Option<Vec<Result<SourceRow, IngestError>>> {
    let mut rows = rows.fuse();
    move || {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            let Some(row) = rows.next() else { break };
            if let Ok(SourceRow::Image(image)) = &row {
                bytes += image.content.size();
            }
            batch.push(row);
        }
        (!batch.is_empty()).then_some(batch)
    }
}

fn receipt(shard: &Shard, written: Written) -> ShardReceipt {
    let Written { stats, mut files, image_store, shared, .. } = written;
    files.push(STATISTICS_FILE.to_owned());
    ShardReceipt {
        shard: shard.clone(),
        rows_in: stats.sum(|tally| tally.rows_in),
        rows_out: stats.sum(|tally| tally.rows_out),
        rows_quarantined: stats.sum(|tally| tally.quarantined),
        rows_left_out: stats.sum(|tally| tally.filtered + tally.merged),
        files,
        shared,
        digested: vec![image_store],
        stats: stats.to_json(),
    }
}
