//! Rows of a Parquet file that somebody else wrote: any physical type of text, number, bytes, image or list of texts.
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;

use super::IngestError;

/// Rows that are decoded at a time; images make them large.
const BATCH_ROWS: usize = 64;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    Int(i64),
    Bytes(Vec<u8>),
    /// The Hugging Face struct of an image.
    Image {
        bytes: Option<Vec<u8>>,
        path: Option<String>,
    },
    List(Vec<Cell>),
}

/// The cells of a row that are not null, by column.
pub type Row = BTreeMap<String, Cell>;

/// Reads a file row by row.
pub struct ParquetTable {
    path: PathBuf,
    columns: Vec<String>,
    batches: ParquetRecordBatchReader,
    batch: Option<(RecordBatch, usize)>,
    done: bool,
}

impl Cell {
    /// A text or a number as text.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Int(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

impl ParquetTable {
    /// Opens the file at `local`, called `path` in messages, with those of `columns` that it has.
    pub fn open(local: &Path, path: &Path, columns: &[&str]) -> Result<Self, IngestError> {
        let error = |source: ParquetError| IngestError::Parquet { path: path.to_owned(), source };
        let file = File::open(local).map_err(IngestError::io(path))?;
        // The types of the file itself, whatever the program that wrote it had in memory.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(error)?;
        let present: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let wanted = present.iter().enumerate().filter(|(_, name)| columns.contains(&name.as_str()));
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.map(|(at, _)| at).collect::<Vec<_>>());
        let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(error)?;
        Ok(Self { path: path.to_owned(), columns: present, batches, batch: None, done: false })
    }

    /// Whether the file has a column.
    pub fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|present| present == column)
    }

    /// All columns of the file.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(&mut self) -> Result<Option<Row>, IngestError> {
        loop {
            if let Some((batch, at)) = &mut self.batch
                && *at < batch.num_rows()
            {
                let row = batch.schema_ref().fields().iter().zip(batch.columns());
                let row = row.filter_map(|(field, column)| Some((field.name().clone(), cell(column, *at)?))).collect();
                *at += 1;
                return Ok(Some(row));
            }
            match self.batches.next() {
                None => return Ok(None),
                Some(Ok(batch)) => self.batch = Some((batch, 0)),
                Some(Err(error)) => {
                    let source = ParquetError::General(error.to_string());
                    return Err(IngestError::Parquet { path: self.path.clone(), source });
                }
            }
        }
    }
}

impl Iterator for ParquetTable {
    type Item = Result<Row, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let row = self.next_row();
        self.done = !matches!(row, Ok(Some(_)));
        row.transpose()
    }
}

/// The value of a column in a row; null, and types that no image or text has, are `None`.
fn cell(column: &ArrayRef, row: usize) -> Option<Cell> {
    if column.is_null(row) {
        return None;
    }
    let text = |text: &str| Some(Cell::Text(text.to_owned()));
    let bytes = |bytes: &[u8]| Some(Cell::Bytes(bytes.to_vec()));
    let list = |items: ArrayRef| Some(Cell::List((0..items.len()).filter_map(|item| cell(&items, item)).collect()));
    match column.data_type() {
        DataType::Utf8 => text(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(column.as_string::<i64>().value(row)),
        DataType::Utf8View => text(column.as_string_view().value(row)),
        DataType::Binary => bytes(column.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(column.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(column.as_binary_view().value(row)),
        DataType::Int8 => Some(Cell::Int(column.as_primitive::<Int8Type>().value(row).into())),
        DataType::Int16 => Some(Cell::Int(column.as_primitive::<Int16Type>().value(row).into())),
        DataType::Int32 => Some(Cell::Int(column.as_primitive::<Int32Type>().value(row).into())),
        DataType::Int64 => Some(Cell::Int(column.as_primitive::<Int64Type>().value(row))),
        DataType::UInt8 => Some(Cell::Int(column.as_primitive::<UInt8Type>().value(row).into())),
        DataType::UInt16 => Some(Cell::Int(column.as_primitive::<UInt16Type>().value(row).into())),
        DataType::UInt32 => Some(Cell::Int(column.as_primitive::<UInt32Type>().value(row).into())),
        DataType::UInt64 => {
            let value = column.as_primitive::<UInt64Type>().value(row);
            Some(i64::try_from(value).map_or_else(|_| Cell::Text(value.to_string()), Cell::Int))
        }
        DataType::List(_) => list(column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(column.as_list::<i64>().value(row)),
        DataType::Struct(_) => {
            let fields = column.as_struct();
            let field = |name: &str| fields.column_by_name(name).and_then(|column| cell(column, row));
            let bytes = match field("bytes") {
                Some(Cell::Bytes(bytes)) => Some(bytes),
                _ => None,
            };
            Some(Cell::Image { bytes, path: field("path").and_then(|path| path.text()) })
        }
        _ => None,
    }
}
