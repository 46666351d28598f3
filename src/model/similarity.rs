//! Inner products of many vectors at once; the exact search of every other room.
use burn::tensor::{Device, Tensor, TensorData};

use super::clip::read;
use super::{ComputeDevice, ModelError};

/// Vectors to search in, `[rows, dimension]`.
#[derive(Debug, Clone)]
pub struct Gallery {
    vectors: Option<Tensor<2>>,
    rows: usize,
    dimension: usize,
    device: Device,
}

impl Gallery {
    /// Takes `[rows, dimension]` values in row-major order.
    pub fn new(values: Vec<f32>, dimension: usize, device: &ComputeDevice) -> Self {
        let device = device.plain();
        let rows = values.len() / dimension.max(1);
        let data = TensorData::new(values, [rows, dimension]);
        let vectors = (rows > 0).then(|| Tensor::from_data(data, &device));
        Self { vectors, rows, dimension, device }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Inner products of `queries` `[q, dimension]` with every row, `[q, rows]`.
    pub fn scores(&self, queries: &[f32]) -> Result<Vec<f32>, ModelError> {
        let count = queries.len() / self.dimension.max(1);
        let Some(vectors) = self.vectors.clone().filter(|_| count > 0) else {
            return Ok(Vec::new());
        };
        let data = TensorData::new(queries.to_vec(), [count, self.dimension]);
        let queries: Tensor<2> = Tensor::from_data(data, &self.device);
        read(queries.matmul(vectors.transpose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_equal_the_definition() {
        let value = |i: usize| ((i * 37 % 11) as f32) - 5.0;
        let queries: Vec<f32> = (0..3 * 5).map(value).collect();
        let documents: Vec<f32> = (0..4 * 5).map(|i| value(i + 3)).collect();
        let found = Gallery::new(documents.clone(), 5, &ComputeDevice::cpu()).scores(&queries).unwrap();
        for (row, query) in queries.chunks(5).enumerate() {
            for (column, document) in documents.chunks(5).enumerate() {
                let expected: f32 = query.iter().zip(document).map(|(a, b)| a * b).sum();
                assert_eq!(found[row * 4 + column], expected);
            }
        }
    }
}
