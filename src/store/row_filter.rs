//! SQL conditions over the rows of a table, e.g. `width >= 200 AND split = 'train'`.
use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::SessionContext;

use super::StoreError;

/// A condition, compiled once for a schema.
#[derive(Clone)]
pub struct RowFilter {
    sql: String,
    schema: SchemaRef,
    condition: Arc<dyn PhysicalExpr>,
}

impl RowFilter {
    /// Compiles a condition. What does not parse, names no column of the schema or is neither true nor false is an error.
    pub fn new(sql: &str, schema: SchemaRef) -> Result<Self, StoreError> {
        let wrong = |reason: String| StoreError::Filter {
            sql: sql.to_owned(),
            reason,
            columns: schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", "),
        };
        let session = SessionContext::new();
        let fields = DFSchema::try_from(schema.as_ref().clone()).map_err(|error| wrong(error.to_string()))?;
        let parsed = session.parse_sql_expr(sql, &fields).map_err(|error| wrong(first_line(&error)))?;
        if parsed.contains_scalar_subquery() {
            return Err(wrong("a condition looks at one row at a time; queries inside it are not possible".to_owned()));
        }
        let condition = session.create_physical_expr(parsed, &fields).map_err(|error| wrong(first_line(&error)))?;
        match condition.data_type(&schema).map_err(|error| wrong(first_line(&error)))? {
            DataType::Boolean => {}
            other => return Err(wrong(format!("it gives {other}, not true or false"))),
        }
        Ok(Self { sql: sql.to_owned(), schema, condition })
    }

    /// For each row whether the condition holds; null is not true. Columns in schema order.
    pub fn matches(&self, columns: Vec<ArrayRef>) -> Result<Vec<bool>, StoreError> {
        let wrong = |reason: String| StoreError::Filter { sql: self.sql.clone(), reason, columns: String::new() };
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| wrong(error.to_string()))?;
        let value = self.condition.evaluate(&batch).map_err(|error| wrong(first_line(&error)))?;
        let values = match value {
            ColumnarValue::Array(values) => values,
            ColumnarValue::Scalar(value) => {
                value.to_array_of_size(batch.num_rows()).map_err(|error| wrong(first_line(&error)))?
            }
        };
        let values = values.as_boolean_opt().ok_or_else(|| wrong("it is neither true nor false".to_owned()))?;
        Ok((0..values.len()).map(|row| values.is_valid(row) && values.value(row)).collect())
    }
}

impl fmt::Debug for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RowFilter").field(&self.sql).finish()
    }
}

fn first_line(error: &impl fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
