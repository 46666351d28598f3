//! Sealing an artifact: files first, then the manifest, create-only.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Created, Store, StoreError};
use crate::data::{ArtifactKey, FileEntry, Fingerprint, MANIFEST_VERSION, Manifest};

/// A sealed artifact with its files in a local folder.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub folder: PathBuf,
    pub manifest: Manifest,
}

impl Sealed {
    /// The path of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

/// Seals the files below `folder` as `artifact`. If another run sealed the same fingerprint first, its content is
/// the same and stands.
pub fn seal(
    store: &Store,
    folder: &Path,
    artifact: &ArtifactKey,
    stage: &str,
    spec: serde_json::Value,
    inputs: BTreeMap<String, Vec<Fingerprint>>,
    stats: serde_json::Value,
) -> Result<Manifest, StoreError> {
    let mut names = Vec::new();
    relative_files(folder, "", &mut names)?;
    names.sort();
    let mut files = Vec::with_capacity(names.len());
    for name in &names {
        let (bytes, digest) = digest_file(&folder.join(name))?;
        files.push(FileEntry { path: name.clone(), bytes, digest });
    }
    let prefix = artifact.prefix();
    if let Some(manifest) = read_manifest(store, artifact)? {
        return Ok(manifest);
    }
    store.put_folder(folder, &names, &prefix)?;
    let manifest = Manifest {
        kind: "Artifact".to_owned(),
        version: MANIFEST_VERSION,
        artifact: artifact.clone(),
        stage: stage.to_owned(),
        spec,
        inputs,
        files,
        stats,
        nonce: new_nonce()?,
    };
    let key = manifest_key(artifact);
    match store.create(&key, &to_json(&key, &manifest)?)? {
        Created::Ours => Ok(manifest),
        Created::Taken => read_manifest(store, artifact)?.ok_or(StoreError::Conflict { key }),
    }
}

/// The manifest of an artifact, or `None` if it was never sealed.
pub fn read_manifest(store: &Store, artifact: &ArtifactKey) -> Result<Option<Manifest>, StoreError> {
    read_json(store, &manifest_key(artifact))
}

/// A sealed artifact, its files made local.
pub fn open_artifact(store: &Store, artifact: &ArtifactKey) -> Result<Sealed, StoreError> {
    let manifest = read_manifest(store, artifact)?
        .ok_or_else(|| StoreError::NoArtifact { key: artifact.to_string(), store: store.url().to_owned() })?;
    let folder = store.local_folder(&artifact.prefix(), &manifest.files)?;
    for file in &manifest.files {
        let path = folder.join(&file.path);
        let found = fs::metadata(&path).map_err(StoreError::io(&path))?.len();
        if found != file.bytes {
            let key = format!("{artifact}/{}", file.path);
            return Err(StoreError::Damaged { key, expected: file.bytes, digest: file.digest.clone() });
        }
    }
    Ok(Sealed { folder, manifest })
}

/// Length and BLAKE3 (64 hexadecimal characters) of a file, in constant memory.
pub fn digest_file(path: &Path) -> Result<(u64, String), StoreError> {
    let mut hasher = blake3::Hasher::new();
    let file = File::open(path).map_err(StoreError::io(path))?;
    hasher.update_reader(file).map_err(StoreError::io(path))?;
    Ok((hasher.count(), hasher.finalize().to_hex().to_string()))
}

/// 64 random bits in hexadecimal.
pub fn new_nonce() -> Result<String, StoreError> {
    let bits = getrandom::u64().map_err(|error| StoreError::Random { reason: error.to_string() })?;
    Ok(format!("{bits:016x}"))
}

pub(super) fn read_json<T: DeserializeOwned>(store: &Store, key: &str) -> Result<Option<T>, StoreError> {
    let Some(bytes) = store.read(key)? else {
        return Ok(None);
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|source| StoreError::Json { key: key.to_owned(), source })
}

pub(super) fn to_json<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec_pretty(value).map_err(|source| StoreError::Json { key: key.to_owned(), source })
}

fn manifest_key(artifact: &ArtifactKey) -> String {
    format!("{}/manifest.json", artifact.prefix())
}

fn relative_files(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(StoreError::io(folder))? {
        let entry = entry.map_err(StoreError::io(folder))?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            relative_files(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
