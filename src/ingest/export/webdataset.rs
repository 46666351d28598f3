//! WebDataset: one sample an image, its captions as lines of `.txt` and with all ids in `.json`.
use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use serde_json::json;

use super::{LinkedText, Part, io};
use crate::ingest::decode::inspect;
use crate::stage::StageError;

/// A shard is closed once it has as many samples or bytes.
const SHARD_SAMPLES: usize = 10_000;
const SHARD_BYTES: usize = 1 << 30;

type Shard = tar::Builder<BufWriter<File>>;

impl Part<'_> {
    /// Writes shards; returns how many texts have no image and so no place.
    pub(super) fn write_webdataset(&self, images: &[String], texts: &[LinkedText]) -> Result<u64, StageError> {
        let mut captions: HashMap<&str, Vec<&LinkedText>> = HashMap::new();
        for text in texts {
            text.image_ids.iter().for_each(|image| captions.entry(image).or_default().push(text));
        }
        let mut open: Option<(Shard, PathBuf)> = None;
        let (mut shards, mut samples, mut bytes) = (0, 0, 0);
        for (number, id) in images.iter().enumerate() {
            if samples == SHARD_SAMPLES || bytes >= SHARD_BYTES {
                close(open.take())?;
                (samples, bytes) = (0, 0);
            }
            let (shard, path) = match &mut open {
                Some(open) => open,
                None => {
                    let path = self.folder.join(format!("{}-{shards:06}.tar", self.split));
                    shards += 1;
                    let file = File::create(&path).map_err(io(&path))?;
                    open.insert((tar::Builder::new(BufWriter::with_capacity(1 << 20, file)), path))
                }
            };
            let image = self.image(id)?;
            let (_, _, format) = inspect(&image)?;
            let extension = if format == "jpeg" { "jpg" } else { format };
            let texts = captions.remove(id.as_str()).unwrap_or_default();
            let lines: Vec<String> = texts.iter().map(|text| text.text.replace(['\n', '\r'], " ")).collect();
            let facts = json!({
                "image_id": id,
                "text_id": texts.iter().map(|text| &text.id).collect::<Vec<_>>(),
                "caption": texts.iter().map(|text| &text.text).collect::<Vec<_>>(),
                "split": self.split,
            });
            let mut files = vec![(extension, image), ("json", facts.to_string().into_bytes())];
            if !lines.is_empty() {
                files.push(("txt", lines.join("\n").into_bytes()));
            }
            for (extension, content) in files {
                let mut header = tar::Header::new_gnu();
                header.set_size(content.len() as u64);
                header.set_mode(0o644);
                bytes += content.len();
                let name = format!("{number:09}.{extension}");
                shard.append_data(&mut header, name, content.as_slice()).map_err(io(path))?;
            }
            samples += 1;
        }
        close(open)?;
        Ok(texts.iter().filter(|text| text.image_ids.is_empty()).count() as u64)
    }
}

fn close(open: Option<(Shard, PathBuf)>) -> Result<(), StageError> {
    let Some((shard, path)) = open else { return Ok(()) };
    let file = shard.into_inner().and_then(|out| out.into_inner().map_err(std::io::IntoInnerError::into_error));
    file.and_then(|file| file.sync_all()).map_err(io(&path))
}
