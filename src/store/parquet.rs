//! Tables on disk: Arrow record batches in Parquet.
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::arrow::{ArrowWriter, ProjectionMask};
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow_array::builder::{ListBuilder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, BooleanArray, FixedSizeListArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::Field;
use arrow_schema::{DataType, SchemaRef};

use super::StoreError;
use crate::data::table::{Table, vector_type};

/// Rows that are held until they are written; vectors make them large.
const ROW_GROUP_ROWS: usize = 16_384;

/// Writes one table, batch by batch.
#[derive(Debug)]
pub struct TableWriter {
    path: PathBuf,
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    rows: u64,
}

impl TableWriter {
    /// Creates `path`.
    pub fn create(path: &Path, schema: SchemaRef) -> Result<Self, StoreError> {
        let file = File::create(path).map_err(StoreError::io(path))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // Ids, digests and texts hardly ever repeat: a dictionary of them is built for nothing.
            .set_column_dictionary_enabled("image_id".into(), false)
            .set_column_dictionary_enabled("text_id".into(), false)
            .set_column_dictionary_enabled("id".into(), false)
            .set_column_dictionary_enabled("digest".into(), false)
            .set_column_dictionary_enabled("source".into(), false)
            .set_column_dictionary_enabled("text".into(), false)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by(concat!("tuwen ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))
            .map_err(|source| StoreError::Write { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), schema, writer, rows: 0 })
    }

    /// Appends columns in schema order.
    pub fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), StoreError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|source| StoreError::Arrow { path: self.path.clone(), source })?;
        self.write_batch(&batch)
    }

    /// Appends a batch of the same table.
    pub fn append(&mut self, batch: &TableBatch) -> Result<(), StoreError> {
        self.write_batch(&batch.batch)
    }

    fn write_batch(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|source| StoreError::Write { path: self.path.clone(), source })
    }

    /// Writes the footer; returns the number of rows.
    pub fn finish(self) -> Result<u64, StoreError> {
        let Self { path, writer, rows, .. } = self;
        writer.close().map_err(|source| StoreError::Write { path, source })?;
        Ok(rows)
    }
}

/// Reads one table, batch by batch, with typed access to its columns.
#[derive(Debug)]
pub struct TableReader {
    path: PathBuf,
    table: Table,
    batches: ParquetRecordBatchReader,
}

/// One batch of a table.
#[derive(Debug)]
pub struct TableBatch {
    path: PathBuf,
    table: Table,
    batch: RecordBatch,
}

impl TableReader {
    pub fn open(path: &Path, table: Table) -> Result<Self, StoreError> {
        let names: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
        Self::open_columns(path, table, &names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Reads no more than some columns.
    pub fn open_columns(path: &Path, table: Table, columns: &[&str]) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        let parquet = |source| StoreError::Parquet { path: path.to_owned(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet)?;
        let fields = builder.schema().fields().iter().enumerate();
        let wanted: Vec<usize> =
            fields.filter(|(_, field)| columns.contains(&field.name().as_str())).map(|(at, _)| at).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted);
        let batches = builder.with_projection(mask).with_batch_size(8192).build().map_err(parquet)?;
        Ok(Self { path: path.to_owned(), table, batches })
    }
}

impl Iterator for TableReader {
    type Item = Result<TableBatch, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(match batch {
            Ok(batch) => Ok(TableBatch { path: self.path.clone(), table: self.table, batch }),
            Err(source) => Err(StoreError::Arrow { path: self.path.clone(), source }),
        })
    }
}

impl TableBatch {
    /// Columns of a table in schema order.
    pub fn new(table: Table, columns: Vec<ArrayRef>) -> Result<Self, StoreError> {
        let path = PathBuf::from(table.name());
        match RecordBatch::try_new(table.schema(), columns) {
            Ok(batch) => Ok(Self { path, table, batch }),
            Err(source) => Err(StoreError::Arrow { path, source }),
        }
    }

    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// A text column.
    pub fn text(&self, column: &'static str) -> Result<&StringArray, StoreError> {
        self.column(column)?.as_string_opt::<i32>().ok_or_else(|| self.wrong(column))
    }

    /// A column of unsigned 64-bit integers.
    pub fn u64(&self, column: &'static str) -> Result<&PrimitiveArray<UInt64Type>, StoreError> {
        self.primitive(column)
    }

    /// A column of truth values.
    pub fn bool(&self, column: &'static str) -> Result<&BooleanArray, StoreError> {
        self.column(column)?.as_boolean_opt().ok_or_else(|| self.wrong(column))
    }

    /// A column of unsigned 32-bit integers.
    pub fn u32(&self, column: &'static str) -> Result<&PrimitiveArray<UInt32Type>, StoreError> {
        self.primitive(column)
    }

    /// A column of primitive values.
    pub fn primitive<T: ArrowPrimitiveType>(&self, column: &'static str) -> Result<&PrimitiveArray<T>, StoreError> {
        self.column(column)?.as_primitive_opt::<T>().ok_or_else(|| self.wrong(column))
    }

    /// A column of vectors: all values in row-major order, and the dimension.
    pub fn vectors(&self, column: &'static str) -> Result<(&[f32], usize), StoreError> {
        let lists = self.column(column)?.as_fixed_size_list_opt().ok_or_else(|| self.wrong(column))?;
        let values = lists.values().as_primitive_opt::<Float32Type>().ok_or_else(|| self.wrong(column))?;
        Ok((values.values().as_ref(), usize::try_from(lists.value_length()).unwrap_or(0)))
    }

    /// A column of lists: the numbers of one row.
    pub fn u32_list(&self, column: &'static str, row: usize) -> Result<Vec<u32>, StoreError> {
        let lists = self.column(column)?.as_list_opt::<i32>().ok_or_else(|| self.wrong(column))?;
        let values = lists.value(row);
        let numbers = values.as_primitive_opt::<UInt32Type>().ok_or_else(|| self.wrong(column))?;
        Ok(numbers.values().to_vec())
    }

    /// All columns in the table's order.
    pub fn columns(&self) -> Vec<ArrayRef> {
        self.batch.columns().to_vec()
    }

    fn column(&self, column: &'static str) -> Result<&ArrayRef, StoreError> {
        self.batch.column_by_name(column).ok_or_else(|| self.wrong(column))
    }

    fn wrong(&self, column: &'static str) -> StoreError {
        StoreError::Column { path: self.path.clone(), table: self.table.name(), column }
    }
}

/// All rows of a table, each made by `row` from its batch and index.
pub fn read_table<T>(
    path: &Path,
    table: Table,
    mut row: impl FnMut(&TableBatch, usize) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut rows = Vec::new();
    for batch in TableReader::open(path, table)? {
        let batch = batch?;
        for index in 0..batch.rows() {
            rows.push(row(&batch, index)?);
        }
    }
    Ok(rows)
}

/// A text column.
pub fn text_column<S: AsRef<str>>(values: impl IntoIterator<Item = S>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A column of primitive values.
pub fn primitive_column<T: ArrowPrimitiveType>(values: impl IntoIterator<Item = T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_iter_values(values))
}

/// A column of lists of numbers.
pub fn u32_list_column<L: IntoIterator<Item = u32>>(rows: impl IntoIterator<Item = L>) -> ArrayRef {
    let item = Arc::new(Field::new("item", DataType::UInt32, false));
    let mut lists = ListBuilder::new(UInt32Builder::new()).with_field(item);
    for row in rows {
        lists.append_value(row.into_iter().map(Some));
    }
    Arc::new(lists.finish())
}

/// A column of vectors from `[rows, dimension]` values.
pub fn vector_column(path: &Path, values: Vec<f32>, dimension: usize) -> Result<ArrayRef, StoreError> {
    let DataType::FixedSizeList(item, length) = vector_type(dimension) else {
        return Err(StoreError::Column { path: path.to_owned(), table: "embeddings", column: "vector" });
    };
    let values = Arc::new(PrimitiveArray::<Float32Type>::from_iter_values(values));
    let lists = FixedSizeListArray::try_new(item, length, values, None)
        .map_err(|source| StoreError::Arrow { path: path.to_owned(), source })?;
    Ok(Arc::new(lists))
}
