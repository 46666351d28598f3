//! Running the shards of a stage: finished ones are not repeated, wherever they were made, and no row is lost.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Stage, StageContext, StageError};
use crate::data::{ErrorClass, FileEntry};
use crate::store::{ShardStore, StoreError, write_whole};

/// The name of a part of a stage; also the stem of its receipt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(pub String);

impl Shard {
    /// The only shard of a stage that cannot be divided.
    pub fn whole() -> Self {
        Self("all".to_owned())
    }
}

/// What a finished shard left behind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardReceipt {
    pub shard: Shard,
    pub rows_in: u64,
    pub rows_out: u64,
    pub rows_quarantined: u64,
    /// Rows that a setting of the stage left out.
    #[serde(default)]
    pub rows_left_out: u64,
    /// Files below the stage's output folder.
    pub files: Vec<String>,
    /// Files of sealed artifacts that become part of this one as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<FileEntry>,
    /// Those of `files` whose length and digest are known already, so that they need not be read again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digested: Vec<FileEntry>,
    /// Counts of the stage's own.
    pub stats: BTreeMap<String, Value>,
}

/// What the shards of a stage left, put together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageOutput {
    pub stats: StageStats,
    /// Files that the artifact shares with earlier ones.
    pub shared: Vec<FileEntry>,
    /// Files whose length and digest are known.
    pub digested: Vec<FileEntry>,
}

/// Sums over all shards.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageStats {
    pub rows_in: u64,
    pub rows_out: u64,
    pub rows_quarantined: u64,
    pub rows_left_out: u64,
    /// Counts by shard.
    pub shards: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Makes one shard below `context.out`. A run and a worker that makes shards apart from it both come through here. Rows in must
/// equal rows out plus rows in quarantine plus rows left out.
pub fn make_shard(stage: &dyn Stage, context: &StageContext<'_>, shard: &Shard) -> Result<ShardReceipt, StageError> {
    context.monitor.check_stop()?;
    let receipt = stage.run_shard(context, shard)?;
    check_rows(context, &receipt)?;
    Ok(receipt)
}

/// Runs every shard that has no receipt yet, here or among those `made_elsewhere`, then `finish`.
pub fn run_shards(
    stage: &dyn Stage,
    context: &StageContext<'_>,
    made_elsewhere: &ShardStore<'_>,
) -> Result<StageOutput, StageError> {
    let elsewhere = if stage.divides() { made_elsewhere.finished()? } else { BTreeSet::new() };
    let (mut receipts, mut taken_over) = (Vec::new(), 0_u64);
    for shard in stage.shards(context)? {
        context.monitor.check_stop()?;
        if let Some(receipt) = finished(context, &shard) {
            receipts.push(receipt);
            continue;
        }
        let found = if elsewhere.contains(&shard.0) { take_over(context, &shard, made_elsewhere)? } else { None };
        taken_over += u64::from(found.is_some());
        let receipt = found.map_or_else(|| make_shard(stage, context, &shard), Ok)?;
        save(context, &receipt)?;
        receipts.push(receipt);
    }
    if taken_over > 0 {
        context.note(&format!("{taken_over} of {} shards were made elsewhere", receipts.len()));
    }
    stage.finish(context, &receipts)?;
    let mut output = StageOutput::default();
    for receipt in receipts {
        let stats = &mut output.stats;
        stats.rows_in += receipt.rows_in;
        stats.rows_out += receipt.rows_out;
        stats.rows_quarantined += receipt.rows_quarantined;
        stats.rows_left_out += receipt.rows_left_out;
        stats.shards.insert(receipt.shard.0, receipt.stats);
        output.shared.extend(receipt.shared);
        output.digested.extend(receipt.digested);
    }
    Ok(output)
}

/// Brings the files of a shard that was made elsewhere. If they are not whole, the shard counts as not made.
fn take_over(
    context: &StageContext<'_>,
    shard: &Shard,
    made_elsewhere: &ShardStore<'_>,
) -> Result<Option<ShardReceipt>, StageError> {
    let brought = made_elsewhere.read(&shard.0).and_then(|found| {
        let Some(found) = found else { return Ok(None) };
        let Ok(receipt) = serde_json::from_value::<ShardReceipt>(found.receipt) else { return Ok(None) };
        let is_right = receipt.shard == *shard && found.files.iter().map(|file| &file.path).eq(&receipt.files);
        if is_right {
            made_elsewhere.fetch(&shard.0, &found.files, context.out)?;
        }
        Ok(is_right.then_some(receipt))
    });
    match brought {
        Err(error) if matches!(error.class(), ErrorClass::BadInput | ErrorClass::NotFound) => {
            context.warn(&format!("shard `{}` is made again: {error}", shard.0));
            Ok(None)
        }
        brought => Ok(brought?),
    }
}

fn check_rows(context: &StageContext<'_>, receipt: &ShardReceipt) -> Result<(), StageError> {
    let accounted = receipt.rows_out + receipt.rows_quarantined + receipt.rows_left_out;
    if receipt.rows_in == accounted {
        return Ok(());
    }
    Err(StageError::internal(format!(
        "stage `{}`, shard `{}`: {} rows came in but {accounted} are accounted for",
        context.stage, receipt.shard.0, receipt.rows_in
    )))
}

/// The receipt of a shard that is done; a damaged receipt or a missing file means that it is not.
fn finished(context: &StageContext<'_>, shard: &Shard) -> Option<ShardReceipt> {
    let bytes = fs::read(receipt_path(context, shard)).ok()?;
    let receipt: ShardReceipt = serde_json::from_slice(&bytes).ok()?;
    receipt.files.iter().all(|file| context.out.join(file).exists()).then_some(receipt)
}

/// The shard's files become durable before its receipt does.
fn save(context: &StageContext<'_>, receipt: &ShardReceipt) -> Result<(), StageError> {
    for file in &receipt.files {
        let path = context.out.join(file);
        fs::File::open(&path).and_then(|f| f.sync_all()).map_err(StoreError::io(&path))?;
    }
    let json = serde_json::to_vec(receipt).map_err(|error| StageError::internal(error.to_string()))?;
    write_whole(&receipt_path(context, &receipt.shard), &json)?;
    Ok(())
}

fn receipt_path(context: &StageContext<'_>, shard: &Shard) -> std::path::PathBuf {
    context.scratch.join(format!("{}.receipt.json", shard.0.replace('/', "-")))
}
