//! The reference's LMDB: base64 by image id, and one pickled `(image_id, text_id, text)` for each pair.
use std::fs;

use super::{LinkedText, Part, integer, io};
use crate::ingest::pickle::{self, PickleValue};
use crate::stage::StageError;
use crate::store::ImageStoreBuilder;

impl Part<'_> {
    /// Writes `imgs` and `pairs`; returns how many texts have no image and so no place.
    pub(super) fn write_reference_lmdb(&self, images: &[String], texts: &[LinkedText]) -> Result<u64, StageError> {
        let create = |name: &str| {
            let folder = self.folder.join(self.split.as_str()).join(name);
            fs::create_dir_all(&folder).map_err(io(&folder))?;
            Ok::<_, StageError>(ImageStoreBuilder::create(&folder.join("data.mdb"), &folder)?)
        };
        let mut out = create("imgs")?;
        for id in images {
            out.insert(id, base64_simd::STANDARD.encode_to_string(self.image(id)?).as_bytes())?;
        }
        out.insert("num_images", images.len().to_string().as_bytes())?;
        out.finish()?;

        let mut out = create("pairs")?;
        let mut number = 0;
        for (text, image) in texts.iter().flat_map(|text| text.image_ids.iter().map(move |image| (text, image))) {
            let fields = vec![id_value(image), id_value(&text.id), PickleValue::Text(text.text.clone())];
            out.insert(&number.to_string(), &pickle::write(&PickleValue::Sequence(fields)))?;
            number += 1;
        }
        out.insert("num_samples", number.to_string().as_bytes())?;
        out.finish()?;
        Ok(texts.iter().filter(|text| text.image_ids.is_empty()).count() as u64)
    }
}

fn id_value(id: &str) -> PickleValue {
    integer(id).map_or_else(|| PickleValue::Text(id.to_owned()), PickleValue::Int)
}
