//! Feature files: the reference's JSONL, or a Parquet table. A file appears under its name once it is whole.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::data::ItemKind;
use crate::data::table::Table;
use crate::stage::StageError;
use crate::store::{StoreError, TableWriter, text_column, vector_column};

/// Layout of a feature file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureFormat {
    /// `{"image_id", "feature"}` or `{"text_id", "feature"}`, a line each, as the reference's `extract_features.py`
    /// writes them.
    Jsonl,
    /// The table `features`.
    Parquet,
}

/// Writes one feature file, and beside it the rows that could not be used.
pub(super) struct FeatureWriter {
    path: PathBuf,
    partial: PathBuf,
    /// Taken when the file is finished.
    sink: Option<Sink>,
    quarantine: Option<BufWriter<File>>,
    kind: ItemKind,
    dimension: usize,
    whole: bool,
}

enum Sink {
    Jsonl(BufWriter<File>),
    Parquet(Box<TableWriter>),
}

impl FeatureWriter {
    /// Creates `{stem}.img_feat.jsonl`, `{stem}.txt_feat.jsonl` or the like with `.parquet` in `folder`.
    pub(super) fn create(
        folder: &Path,
        stem: &str,
        kind: ItemKind,
        format: FeatureFormat,
        dimension: usize,
    ) -> Result<Self, StageError> {
        std::fs::create_dir_all(folder).map_err(StoreError::io(folder))?;
        let infix = if kind == ItemKind::Image { "img_feat" } else { "txt_feat" };
        let extension = if format == FeatureFormat::Jsonl { "jsonl" } else { "parquet" };
        let name = format!("{stem}.{infix}.{extension}");
        let (path, partial) = (folder.join(&name), folder.join(format!(".{name}.partial")));
        let sink = match format {
            FeatureFormat::Jsonl => Sink::Jsonl(BufWriter::with_capacity(
                1 << 20,
                File::create(&partial).map_err(StoreError::io(&partial))?,
            )),
            FeatureFormat::Parquet => Sink::Parquet(Box::new(TableWriter::create(
                &partial,
                Table::Features.schema_with_dimension(dimension),
            )?)),
        };
        Ok(Self { path, partial, sink: Some(sink), quarantine: None, kind, dimension, whole: false })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends vectors `[ids, dimension]`.
    pub(super) fn write(&mut self, ids: &[String], vectors: Vec<f32>) -> Result<(), StageError> {
        match &mut self.sink {
            None => {}
            Some(Sink::Parquet(table)) => {
                table.write(vec![text_column(ids), vector_column(&self.path, vectors, self.dimension)?])?;
            }
            Some(Sink::Jsonl(file)) => {
                let key = if self.kind == ItemKind::Image { "image_id" } else { "text_id" };
                for (id, vector) in ids.iter().zip(vectors.chunks(self.dimension)) {
                    serde_json::to_writer(&mut *file, &Line { key, id: id_value(id), vector })
                        .map_err(std::io::Error::from)
                        .and_then(|()| file.write_all(b"\n"))
                        .map_err(StoreError::io(&self.partial))?;
                }
            }
        }
        Ok(())
    }

    /// Notes a row that was left out, in `{file}.quarantine.jsonl`.
    pub(super) fn quarantine(&mut self, source: &str, line: u64, reason: &str) -> Result<(), StageError> {
        let path = self.quarantine_partial();
        if self.quarantine.is_none() {
            self.quarantine = Some(BufWriter::new(File::create(&path).map_err(StoreError::io(&path))?));
        }
        if let Some(file) = &mut self.quarantine {
            writeln!(file, "{}", json!({ "source": source, "line": line, "reason": reason }))
                .map_err(StoreError::io(&path))?;
        }
        Ok(())
    }

    fn quarantine_partial(&self) -> PathBuf {
        self.partial.with_extension("quarantine")
    }

    /// Gives the whole file its name.
    pub(super) fn finish(mut self) -> Result<(), StageError> {
        match self.sink.take() {
            None => {}
            Some(Sink::Jsonl(mut file)) => {
                file.flush().and_then(|()| file.get_ref().sync_all()).map_err(StoreError::io(&self.partial))?;
            }
            Some(Sink::Parquet(table)) => {
                table.finish()?;
            }
        }
        let quarantine = self.path.with_extension("quarantine.jsonl");
        match &mut self.quarantine {
            Some(file) => {
                file.flush().map_err(StoreError::io(&quarantine))?;
                std::fs::rename(self.quarantine_partial(), &quarantine).map_err(StoreError::io(&quarantine))?;
            }
            // One of an earlier run would speak of other rows.
            None if quarantine.exists() => std::fs::remove_file(&quarantine).map_err(StoreError::io(&quarantine))?,
            None => {}
        }
        std::fs::rename(&self.partial, &self.path).map_err(StoreError::io(&self.path))?;
        self.whole = true;
        Ok(())
    }
}

impl Drop for FeatureWriter {
    fn drop(&mut self) {
        if !self.whole {
            // A file that is gone already is what is wanted.
            let _ = std::fs::remove_file(&self.partial);
            let _ = std::fs::remove_file(self.quarantine_partial());
        }
    }
}

/// A line of the reference's feature file.
struct Line<'a> {
    key: &'static str,
    id: Value,
    vector: &'a [f32],
}

impl serde::Serialize for Line<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(self.key, &self.id)?;
        map.serialize_entry("feature", self.vector)?;
        map.end()
    }
}

/// An id that is written as an integer is one, as the reference's evaluation wants it.
fn id_value(id: &str) -> Value {
    match id.parse::<i64>() {
        Ok(number) if number.to_string() == id => json!(number),
        _ => json!(id),
    }
}
