//! The reference's raw layout.
use std::fs::File;
use std::io::{BufWriter, Write};

use serde_json::{Value, json};

use super::{LinkedText, Part, integer, io};
use crate::stage::StageError;

impl Part<'_> {
    /// Writes TSV and JSONL; every text has a place.
    pub(super) fn write_chinese_clip(&self, images: &[String], texts: &[LinkedText]) -> Result<u64, StageError> {
        let path = self.folder.join(format!("{}_imgs.tsv", self.split));
        let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(io(&path))?);
        for id in images {
            let encoded = base64_simd::STANDARD.encode_to_string(self.image(id)?);
            // A tab or a line break inside an id would be read as the end of it.
            writeln!(out, "{}\t{encoded}", id.replace(['\t', '\n', '\r'], " ")).map_err(io(&path))?;
        }
        out.into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .map_err(io(&path))?;
        let path = self.folder.join(format!("{}_texts.jsonl", self.split));
        let mut out = BufWriter::new(File::create(&path).map_err(io(&path))?);
        for text in texts {
            let images: Vec<Value> = text.image_ids.iter().map(|id| id_value(id)).collect();
            let line = json!({ "text_id": id_value(&text.id), "text": text.text, "image_ids": images });
            writeln!(out, "{line}").map_err(io(&path))?;
        }
        out.into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .map_err(io(&path))?;
        Ok(0)
    }
}

fn id_value(id: &str) -> Value {
    integer(id).map_or_else(|| Value::from(id), Value::from)
}
