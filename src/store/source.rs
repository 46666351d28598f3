//! Files that somebody else wrote: a local folder, or a prefix of an object store. Only ever read.
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use rayon::prelude::*;
use tokio::runtime::Runtime;

use super::digest_cache::DigestCache;
use super::objects::{connect, new_runtime, parse_key};
use super::remote_file::{RemoteReader, read_object};
use super::transfer::Traffic;
use super::{StoreError, new_nonce};

/// Small files that are fetched at the same time.
const FILES_AHEAD: usize = 32;

/// A folder of files by `/`-separated names below it.
#[derive(Debug, Clone)]
pub struct SourceFolder {
    root: String,
    backend: Backend,
}

#[derive(Debug, Clone)]
enum Backend {
    Local(PathBuf),
    Remote { objects: Arc<dyn ObjectStore>, runtime: Arc<Runtime>, traffic: Arc<Traffic> },
}

/// One file of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Path below the folder, with forward slashes.
    pub name: String,
    pub bytes: u64,
}

impl SourceFolder {
    /// Opens a path, `file://`, `s3://`, `gs://` or `az://`; credentials come from the provider's own variables.
    pub fn open(root: &str) -> Result<Self, StoreError> {
        let local = |path: &str| Backend::Local(PathBuf::from(path));
        let backend = match root.split_once("://") {
            None => local(root),
            Some(("file", path)) => local(path),
            Some(_) => return Self::of_objects(root, connect(root)?),
        };
        Ok(Self { root: root.to_owned(), backend })
    }

    /// A local folder, or the folder that holds a file together with the file's name.
    pub fn holding(path: &Path) -> Result<(Self, Option<String>), StoreError> {
        if fs::metadata(path).map_err(StoreError::io(path))?.is_dir() {
            return Ok((Self::open(&path.to_string_lossy())?, None));
        }
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((Self::open(&folder.to_string_lossy())?, Some(name)))
    }

    /// A folder whose objects somebody else holds.
    pub fn of_objects(root: &str, objects: Arc<dyn ObjectStore>) -> Result<Self, StoreError> {
        let (runtime, traffic) = (Arc::new(new_runtime()?), Arc::default());
        Ok(Self { root: root.to_owned(), backend: Backend::Remote { objects, runtime, traffic } })
    }

    /// The same folder; its requests, if it is remote, are counted by `counter` and kept to its budget.
    #[must_use]
    pub fn counted_by(mut self, counter: &Arc<Traffic>) -> Self {
        if let Backend::Remote { traffic, .. } = &mut self.backend {
            *traffic = Arc::clone(counter);
        }
        self
    }

    /// What it was opened with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The full name of a file, for messages.
    pub fn display(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}/{name}", self.root.trim_end_matches('/')))
    }

    /// All files below the folder, sorted by name. Hidden ones are left out; a link is followed once it leads to a file.
    pub fn list(&self) -> Result<Vec<SourceFile>, StoreError> {
        let mut files = match &self.backend {
            Backend::Local(root) => {
                let mut files = Vec::new();
                list_folder(root, "", &mut files)?;
                files
            }
            Backend::Remote { objects, runtime, traffic } => {
                traffic.request()?;
                let entry = |meta: ObjectMeta| SourceFile { name: meta.location.to_string(), bytes: meta.size };
                let listed = async { objects.list(None).map_ok(entry).try_collect::<Vec<_>>().await };
                runtime.block_on(listed).map_err(StoreError::object)?
            }
        };
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Whether the file is there.
    pub fn contains(&self, name: &str) -> Result<bool, StoreError> {
        match &self.backend {
            Backend::Local(root) => Ok(root.join(name).is_file()),
            Backend::Remote { .. } => match self.head(name) {
                Ok(_) => Ok(true),
                Err(StoreError::Object { source: object_store::Error::NotFound { .. } }) => Ok(false),
                Err(error) => Err(error),
            },
        }
    }

    /// Reads a file from its beginning; of a remote one the next pieces are under way while this one is used.
    pub fn reader(&self, name: &str) -> Result<Box<dyn Read + Send>, StoreError> {
        match &self.backend {
            Backend::Local(root) => {
                let path = root.join(name);
                // Without this a folder, a pipe or a device would be opened, and fail or hang later.
                let regular = fs::metadata(&path).map_err(StoreError::io(&path))?.is_file();
                if !regular {
                    return Err(StoreError::NotAFile { path });
                }
                Ok(Box::new(File::open(&path).map_err(StoreError::io(&path))?))
            }
            Backend::Remote { objects, runtime, traffic } => {
                let meta = self.head(name)?;
                // The name that the answer gives has the prefix of the folder, the request must not.
                Ok(Box::new(RemoteReader::start(objects, parse_key(name)?, meta, traffic, runtime)))
            }
        }
    }

    /// The bytes of one file of at most `limit` bytes.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        match &self.backend {
            Backend::Local(root) => {
                let path = root.join(name);
                let metadata = fs::metadata(&path).map_err(StoreError::io(&path))?;
                match metadata.len() {
                    _ if !metadata.is_file() => Err(StoreError::NotAFile { path }),
                    bytes if bytes > limit => Err(StoreError::TooLarge { path, bytes, limit }),
                    _ => fs::read(&path).map_err(StoreError::io(&path)),
                }
            }
            Backend::Remote { objects, runtime, traffic } => {
                runtime.block_on(read_object(objects.as_ref(), name, self.display(name), traffic, limit))
            }
        }
    }

    /// Several small files at the same time, in order.
    pub fn read_many(&self, names: &[&str], limit: u64) -> Vec<Result<Vec<u8>, StoreError>> {
        match &self.backend {
            Backend::Local(_) => names.par_iter().map(|name| self.read(name, limit)).collect(),
            Backend::Remote { objects, runtime, traffic } => runtime.block_on(async {
                let fetch = |name| read_object(objects.as_ref(), name, self.display(name), traffic, limit);
                let transfers: Vec<_> = names.iter().map(|name| fetch(name)).collect();
                futures::stream::iter(transfers).buffered(FILES_AHEAD).collect().await
            }),
        }
    }

    /// A path where the file can be opened at any place: its own, or that of a copy in `scratch`.
    pub fn local(&self, name: &str, scratch: &Path) -> Result<PathBuf, StoreError> {
        if let Backend::Local(root) = &self.backend {
            return Ok(root.join(name));
        }
        let version = blake3::hash(format!("{}\n{name}\n{}", self.root, self.version(name)?).as_bytes());
        let path = scratch.join("sources").join(version.to_hex().as_str());
        if path.exists() {
            return Ok(path);
        }
        let folder = scratch.join("sources");
        fs::create_dir_all(&folder).map_err(StoreError::io(&folder))?;
        let temporary = folder.join(format!(".{}", new_nonce()?));
        let mut file = File::create(&temporary).map_err(StoreError::io(&temporary))?;
        io::copy(&mut self.reader(name)?, &mut file).map_err(StoreError::io(&self.display(name)))?;
        fs::rename(&temporary, &path).map_err(StoreError::io(&path))?;
        Ok(path)
    }

    /// What changes whenever the content does: BLAKE3 of a local file, the entity tag of a remote one.
    pub fn digest(&self, name: &str, cache: &DigestCache) -> Result<String, StoreError> {
        match &self.backend {
            Backend::Local(root) => cache.digest(&root.join(name)),
            Backend::Remote { .. } => self.version(name),
        }
    }

    /// BLAKE3 of the content if it is known without reading it.
    pub fn known_digest(&self, name: &str, cache: &DigestCache) -> Option<String> {
        match &self.backend {
            Backend::Local(root) => cache.known(&root.join(name)),
            Backend::Remote { .. } => None,
        }
    }

    fn version(&self, name: &str) -> Result<String, StoreError> {
        let meta = self.head(name)?;
        let tag = meta.e_tag.unwrap_or_else(|| meta.last_modified.to_rfc3339());
        Ok(format!("{}:{tag}", meta.size))
    }

    fn head(&self, name: &str) -> Result<ObjectMeta, StoreError> {
        let Backend::Remote { objects, runtime, traffic } = &self.backend else {
            return Err(StoreError::io(&self.display(name))(io::ErrorKind::Unsupported.into()));
        };
        let key = parse_key(name)?;
        traffic.request()?;
        runtime.block_on(objects.head(&key)).map_err(StoreError::object)
    }
}

fn list_folder(folder: &Path, prefix: &str, files: &mut Vec<SourceFile>) -> Result<(), StoreError> {
    for entry in fs::read_dir(folder).map_err(StoreError::io(folder))? {
        let entry = entry.map_err(StoreError::io(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(StoreError::io(&entry.path()))?;
        if kind.is_dir() {
            list_folder(&entry.path(), &format!("{prefix}{name}/"), files)?;
        } else if let Ok(metadata) = fs::metadata(entry.path())
            && metadata.is_file()
        {
            files.push(SourceFile { name: format!("{prefix}{name}"), bytes: metadata.len() });
        }
    }
    Ok(())
}
