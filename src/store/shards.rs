//! Finished shards of an artifact that is not sealed yet: files first, then a receipt, create-only. Two tries at one shard, or
//! one that was killed, do no harm; what counts is the receipt that came first.
use std::collections::BTreeSet;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::seal::{read_json, to_json};
use super::{Created, Store, StoreError, digest_file, new_nonce};
use crate::data::{ArtifactKey, FileEntry};

const RECEIPT_FILE: &str = "receipt.json";
const PLAN_FILE: &str = "plan.json";

/// A finished shard, as its maker left it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinishedShard {
    /// Always `Shard`.
    kind: String,
    version: u32,
    pub artifact: ArtifactKey,
    /// What the stage says about it.
    pub receipt: serde_json::Value,
    /// Its files. Each lies below the digest of its content, so that two tries do not write over each other.
    pub files: Vec<FileEntry>,
    nonce: String,
}

/// The place of an artifact's shards: `work/<kind>-<fingerprint>/shards/<shard>/{files/<digest>/…, receipt.json}`.
#[derive(Debug, Clone)]
pub struct ShardStore<'a> {
    store: &'a Store,
    artifact: &'a ArtifactKey,
    prefix: String,
}

impl<'a> ShardStore<'a> {
    pub fn new(store: &'a Store, artifact: &'a ArtifactKey) -> Self {
        let prefix = format!("work/{}-{}/shards", artifact.kind, artifact.fingerprint);
        Self { store, artifact, prefix }
    }

    /// Names of the shards that have a receipt.
    pub fn finished(&self) -> Result<BTreeSet<String>, StoreError> {
        let name = |key: &String| {
            let rest = key.strip_prefix(&self.prefix)?.strip_prefix('/')?;
            Some(rest.strip_suffix(RECEIPT_FILE)?.strip_suffix('/')?.to_owned())
        };
        Ok(self.store.list(&self.prefix)?.iter().filter_map(name).collect())
    }

    /// A finished shard, or `None`.
    pub fn read(&self, shard: &str) -> Result<Option<FinishedShard>, StoreError> {
        let found: Option<FinishedShard> = read_json(self.store, &self.receipt_key(shard))?;
        Ok(found.filter(|found| found.artifact == *self.artifact))
    }

    /// Moves the files of a shard into the store and writes its receipt. `Taken` means that another try was first.
    pub fn publish(
        &self,
        shard: &str,
        folder: &Path,
        names: &[String],
        receipt: serde_json::Value,
    ) -> Result<Created, StoreError> {
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let (bytes, digest) = digest_file(&folder.join(name))?;
            files.push(FileEntry { path: name.clone(), bytes, digest, home: None });
        }
        self.store.put_by_digest(folder, &files, &self.files_prefix(shard))?;
        let (kind, artifact) = ("Shard".to_owned(), self.artifact.clone());
        let record = FinishedShard { kind, version: 1, artifact, receipt, files, nonce: new_nonce()? };
        let key = self.receipt_key(shard);
        self.store.create(&key, &to_json(&key, &record)?)
    }

    /// Brings the files of a finished shard into `folder`; one that is not there, or is another, is an error.
    pub fn fetch(&self, shard: &str, files: &[FileEntry], folder: &Path) -> Result<(), StoreError> {
        let prefix = self.files_prefix(shard);
        files.iter().try_for_each(|file| self.store.fetch_by_digest(&prefix, file, &folder.join(&file.path)))
    }

    /// Leaves a note for workers that cannot plan by themselves.
    pub fn write_plan<T: Serialize>(&self, plan: &T) -> Result<(), StoreError> {
        let key = self.plan_key();
        self.store.replace(&key, &to_json(&key, plan)?)
    }

    /// The note that `write_plan` left, or `None`.
    pub fn read_plan<T: DeserializeOwned>(&self) -> Result<Option<T>, StoreError> {
        read_json(self.store, &self.plan_key())
    }

    /// Removes everything, receipts first: half a shard must not look like a whole one.
    pub fn clear(&self) -> Result<(), StoreError> {
        let keys = self.store.list(&self.prefix)?;
        let (receipts, rest): (Vec<String>, Vec<String>) = keys.into_iter().partition(|key| is_receipt(key));
        self.store.remove_all(&receipts)?;
        self.store.remove_all(&rest)
    }

    fn receipt_key(&self, shard: &str) -> String {
        format!("{}/{shard}/{RECEIPT_FILE}", self.prefix)
    }

    fn files_prefix(&self, shard: &str) -> String {
        format!("{}/{shard}/files", self.prefix)
    }

    fn plan_key(&self) -> String {
        format!("{}/{PLAN_FILE}", self.prefix)
    }
}

/// Whether an object makes a shard count.
pub(super) fn is_receipt(key: &str) -> bool {
    key.rsplit_once('/').is_some_and(|(_, name)| name == RECEIPT_FILE)
}
