//! The image store of a data set, written while the next images are looked at.
use std::path::Path;

use super::background::Background;
use crate::store::{FileDigest, ImageStoreBuilder, Sheet, StoreError, StoredImage};

/// Encoded images by id, with the sheets on which they lie; ids are unique.
pub type StoredImages = (Vec<Sheet>, Vec<(String, StoredImage)>);

/// Takes images; in the end everything is durable.
pub type ImageSink = Background<StoredImages, FileDigest>;

/// Creates the file `path`; keys that do not fit memory wait in `scratch`.
pub fn create(path: &Path, scratch: &Path) -> Result<ImageSink, StoreError> {
    let builder = ImageStoreBuilder::create(path, scratch)?;
    let insert = |builder: &mut ImageStoreBuilder, (sheets, images): StoredImages| builder.insert_laid(sheets, &images);
    Ok(Background::start("the writer of the image store", builder, insert, ImageStoreBuilder::finish))
}
