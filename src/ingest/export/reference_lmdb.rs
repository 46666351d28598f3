//! The reference's LMDB: base64 by image id, and one pickled `(image_id, text_id, text)` for each pair.
use std::fs;

use super::{LinkedText, Part, integer, io};
use crate::ingest::pickle::{self, PickleValue};
use crate::stage::StageError;
use crate::store::ImageStoreWriter;

const BATCH: usize = 1024;

impl Part<'_> {
    /// Writes `imgs` and `pairs`; returns how many texts have no image and so no place.
    pub(super) fn write_reference_lmdb(&self, images: &[String], texts: &[LinkedText]) -> Result<u64, StageError> {
        let create = |name: &str| {
            let folder = self.folder.join(self.split.as_str()).join(name);
            fs::create_dir_all(&folder).map_err(io(&folder))?;
            Ok::<_, StageError>(ImageStoreWriter::create(&folder.join("data.mdb"))?)
        };
        let mut out = create("imgs")?;
        for batch in images.chunks(BATCH) {
            let encoded: Result<Vec<String>, StageError> =
                batch.iter().map(|id| Ok(base64_simd::STANDARD.encode_to_string(self.image(id)?))).collect();
            let encoded = encoded?;
            let rows: Vec<(&str, &[u8])> =
                batch.iter().zip(&encoded).map(|(id, v)| (id.as_str(), v.as_bytes())).collect();
            out.insert(&rows)?;
        }
        out.insert(&[("num_images", images.len().to_string().as_bytes())])?;
        out.finish()?;

        let mut out = create("pairs")?;
        let mut number = 0;
        for batch in texts.chunks(BATCH) {
            let pairs = batch.iter().flat_map(|text| text.image_ids.iter().map(move |image| (text, image)));
            let records: Vec<(String, Vec<u8>)> = pairs
                .map(|(text, image)| {
                    let fields = vec![id_value(image), id_value(&text.id), PickleValue::Text(text.text.clone())];
                    number += 1;
                    ((number - 1).to_string(), pickle::write(&PickleValue::Sequence(fields)))
                })
                .collect();
            let rows: Vec<(&str, &[u8])> =
                records.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
            out.insert(&rows)?;
        }
        out.insert(&[("num_samples", number.to_string().as_bytes())])?;
        out.finish()?;
        Ok(texts.iter().filter(|text| text.image_ids.is_empty()).count() as u64)
    }
}

fn id_value(id: &str) -> PickleValue {
    integer(id).map_or_else(|| PickleValue::Text(id.to_owned()), PickleValue::Int)
}
