//! Sealing an artifact: files first, then the manifest, create-only.
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::local::is_temporary;
use super::{Created, Store, StoreError};
use crate::data::{ArtifactKey, FileEntry, Fingerprint, MANIFEST_VERSION, Manifest};

/// A sealed artifact with its files in a local folder.
#[derive(Debug, Clone)]
pub struct Sealed {
    pub folder: PathBuf,
    pub manifest: Manifest,
    /// Paths of the files that lie in the folders of other artifacts.
    shared: BTreeMap<String, PathBuf>,
}

impl Sealed {
    /// The path of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.shared.get(file).cloned().unwrap_or_else(|| self.folder.join(file))
    }
}

/// What a manifest says beside the files.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// Id of the stage.
    pub stage: String,
    /// Version of its code.
    pub code: u32,
    pub spec: serde_json::Value,
    pub inputs: BTreeMap<String, Vec<Fingerprint>>,
    pub stats: serde_json::Value,
    /// Files of other artifacts that belong to this one too; each names its home.
    pub shared: Vec<FileEntry>,
    /// Files whose length and digest were found while they were written.
    pub digested: Vec<FileEntry>,
}

/// Seals the files below `folder` as `artifact`. If another run sealed the same fingerprint first, its content is
/// the same and stands.
pub fn seal(
    store: &Store,
    folder: &Path,
    artifact: &ArtifactKey,
    description: Description,
) -> Result<Manifest, StoreError> {
    let Description { stage, code, spec, inputs, stats, shared, digested } = description;
    let mut names = Vec::new();
    relative_files(folder, "", &mut names)?;
    names.sort();
    let mut files = Vec::with_capacity(names.len());
    for name in &names {
        let known = digested.iter().find(|file| file.path == *name);
        files.push(match known {
            Some(file) => file.clone(),
            None => {
                let (bytes, digest) = digest_file(&folder.join(name))?;
                FileEntry { path: name.clone(), bytes, digest, home: None }
            }
        });
    }
    if let Some(manifest) = read_manifest(store, artifact)? {
        return Ok(manifest);
    }
    store.put_folder(folder, &files, &artifact.prefix())?;
    let own = files.clone();
    files.extend(shared);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = Manifest {
        kind: "Artifact".to_owned(),
        version: MANIFEST_VERSION,
        artifact: artifact.clone(),
        code,
        stage,
        spec,
        inputs,
        files,
        stats,
        nonce: new_nonce()?,
    };
    let key = manifest_key(artifact);
    match store.create(&key, &to_json(&key, &manifest)?)? {
        Created::Ours => {
            store.adopt(folder, &own, &artifact.prefix())?;
            Ok(manifest)
        }
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
    let own = |file: &&FileEntry| file.home.is_none();
    let files: Vec<FileEntry> = manifest.files.iter().filter(own).cloned().collect();
    let folder = store.local_folder(&artifact.prefix(), &files)?;
    let mut shared = BTreeMap::new();
    for file in &manifest.files {
        let path = match &file.home {
            None => folder.join(&file.path),
            Some(home) => {
                let path = store.local_folder(&home.prefix(), std::slice::from_ref(file))?.join(&file.path);
                shared.insert(file.path.clone(), path.clone());
                path
            }
        };
        let found = fs::metadata(&path).map_err(StoreError::io(&path))?.len();
        if found != file.bytes {
            let key = format!("{artifact}/{}", file.path);
            return Err(StoreError::Damaged { key, expected: file.bytes, digest: file.digest.clone() });
        }
    }
    Ok(Sealed { folder, manifest, shared })
}

const DIGEST_BUFFER: usize = 4 << 20;

/// Length and BLAKE3 (64 hexadecimal characters) of a file, in constant memory.
pub fn digest_file(path: &Path) -> Result<(u64, String), StoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).map_err(StoreError::io(path))?;
    let mut buffer = vec![0; DIGEST_BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            // Several cores share what is large enough.
            Ok(read) => drop(hasher.update_rayon(buffer.get(..read).unwrap_or_default())),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(StoreError::io(path)(error)),
        }
    }
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
        } else if is_temporary(&entry.file_name().to_string_lossy()) {
            // An earlier try was killed while it wrote a file whole.
            fs::remove_file(entry.path()).map_err(StoreError::io(&entry.path()))?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}
