//! The tables of a data set, written and counted while the next rows are looked at.
use std::path::Path;

use arrow_array::ArrayRef;

use super::background::Background;
use super::statistics::{Counter, Statistics};
use super::writer::table_file;
use crate::data::table::Table;
use crate::store::{StoreError, TableBatch, TableWriter};

/// Takes the columns of a table in schema order.
pub type TableSink = Background<(Table, Vec<ArrayRef>), Statistics>;

struct Tables {
    images: TableWriter,
    texts: TableWriter,
    pairs: TableWriter,
    counter: Counter,
}

/// Creates `images`, `texts` and `pairs` below `out`.
pub fn create(out: &Path) -> Result<TableSink, StoreError> {
    let table = |table: Table| TableWriter::create(&out.join(table_file(table)), table.schema());
    let tables = Tables {
        images: table(Table::Images)?,
        texts: table(Table::Texts)?,
        pairs: table(Table::Pairs)?,
        counter: Counter::default(),
    };
    Ok(Background::start("the writer of the tables", tables, Tables::write, Tables::finish))
}

impl Tables {
    fn write(&mut self, (table, columns): (Table, Vec<ArrayRef>)) -> Result<(), StoreError> {
        let batch = TableBatch::new(table, columns)?;
        let writer = match table {
            Table::Images => &mut self.images,
            Table::Texts => &mut self.texts,
            _ => &mut self.pairs,
        };
        writer.append(&batch)?;
        self.counter.add(table, &batch)
    }

    fn finish(self) -> Result<Statistics, StoreError> {
        for table in [self.images, self.texts, self.pairs] {
            table.finish()?;
        }
        Ok(self.counter.finish())
    }
}
