//! The one place where a source's format becomes code.
use std::path::Path;

use super::source::SourceRows;
use super::spec::SourceSpec;
use super::{IngestError, chinese_clip, flickr30k_cn, folder, muge, parquet_dataset, reference_lmdb, webdataset};
use crate::store::SourceFolder;

/// Rows of a source, an image before the texts that name it; `scratch` takes copies of remote files that need a path.
pub fn rows(spec: &SourceSpec, source: &SourceFolder, scratch: &Path) -> Result<SourceRows, IngestError> {
    match spec {
        SourceSpec::ChineseClip { splits, .. } => chinese_clip::rows(source, splits),
        SourceSpec::Muge { splits, .. } => muge::rows(source, splits),
        SourceSpec::ChineseClipLmdb { splits, .. } => Ok(reference_lmdb::rows(source, splits, scratch)),
        SourceSpec::Flickr30kCn { images, captions, .. } => flickr30k_cn::rows(source, images, captions),
        SourceSpec::Folder { captions, .. } => folder::rows(source, captions, scratch),
        SourceSpec::Webdataset { .. } => webdataset::rows(source),
        SourceSpec::Parquet { columns, .. } => parquet_dataset::rows(source, columns, scratch),
    }
}

/// Every file whose content decides the rows, by name below the source.
pub fn files(spec: &SourceSpec, source: &SourceFolder) -> Result<Vec<String>, IngestError> {
    match spec {
        SourceSpec::ChineseClip { splits, .. } => chinese_clip::files(source, splits),
        SourceSpec::Muge { splits, .. } => muge::files(source, splits),
        SourceSpec::ChineseClipLmdb { splits, .. } => Ok(reference_lmdb::files(splits)),
        SourceSpec::Flickr30kCn { captions, .. } => with_images(flickr30k_cn::files(source, captions)?, source),
        SourceSpec::Folder { captions, .. } => folder::files(source, captions),
        SourceSpec::Webdataset { .. } => webdataset::files(source),
        SourceSpec::Parquet { .. } => with_images(parquet_dataset::files(source)?, source),
    }
}

/// Parquet and caption files may name images that lie beside them.
fn with_images(mut files: Vec<String>, source: &SourceFolder) -> Result<Vec<String>, IngestError> {
    files.extend(folder::image_files(source)?.into_iter().map(|file| file.name));
    Ok(files)
}
