//! The weights that a pipeline starts from: a file or folder on this machine or, by URL, in object storage.
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::model::{WEIGHTS_FILES, weights_file};
use crate::stage::{StageContext, StageError};
use crate::store::{SourceFolder, Sources, StoreError, digest_file};

/// Beside the weights of a Hugging Face folder.
const VOCABULARY_FILE: &str = "vocab.txt";
const WEIGHTS_ENDINGS: [&str; 4] = ["pt", "pth", "bin", "safetensors"];
const PIECE_BYTES: usize = 1 << 20;

/// What changes whenever the weights do: BLAKE3 of a local file, the entity tag of a remote one.
pub fn weights_digest(path: &Path, sources: &Sources) -> Result<String, StageError> {
    match Remote::open(path, sources)? {
        Some(remote) => Ok(remote.folder.digest(&remote.name, &sources.digests)?),
        None => {
            let file = weights_file(path)?;
            Ok(digest_file(&file)?.1)
        }
    }
}

/// Where `open_model` finds them: at `path`, or in a copy below the scratch folder.
pub(super) fn local_weights(path: &Path, context: &StageContext<'_>) -> Result<PathBuf, StageError> {
    let Some(remote) = Remote::open(path, context.sources)? else { return Ok(path.to_owned()) };
    let folder = context.scratch.join("weights");
    fs::create_dir_all(&folder).map_err(StoreError::io(&folder))?;
    if remote.folder.contains(VOCABULARY_FILE)? {
        remote.copy(VOCABULARY_FILE, &folder, context)?;
    }
    remote.copy(&remote.name, &folder, context)
}

struct Remote {
    folder: SourceFolder,
    /// The file of weights.
    name: String,
}

impl Remote {
    /// `None` if the weights are on this machine.
    fn open(path: &Path, sources: &Sources) -> Result<Option<Self>, StageError> {
        let url = path.to_string_lossy();
        if !url.contains("://") {
            return Ok(None);
        }
        let ending = path.extension().and_then(|ending| ending.to_str());
        if let Some((root, name)) =
            url.rsplit_once('/').filter(|_| ending.is_some_and(|e| WEIGHTS_ENDINGS.contains(&e)))
        {
            return Ok(Some(Self { folder: sources.open(root)?, name: name.to_owned() }));
        }
        let folder = sources.open(&url)?;
        for name in WEIGHTS_FILES {
            if folder.contains(name)? {
                return Ok(Some(Self { folder, name: name.to_owned() }));
            }
        }
        Err(crate::model::ModelError::NoWeights { path: path.to_owned() }.into())
    }

    fn copy(&self, name: &str, folder: &Path, context: &StageContext<'_>) -> Result<PathBuf, StageError> {
        let path = folder.join(name);
        let source = self.folder.display(name);
        let progress = context.monitor.begin(&format!("{}: download {name}", context.stage), None, "bytes");
        let mut reader = self.folder.reader(name)?;
        let mut file = File::create(&path).map_err(StoreError::io(&path))?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            context.monitor.check_stop()?;
            let read = reader.read(&mut piece).map_err(StoreError::io(&source))?;
            if read == 0 {
                return Ok(path);
            }
            file.write_all(&piece[..read]).map_err(StoreError::io(&path))?;
            progress.advance(read as u64);
        }
    }
}
