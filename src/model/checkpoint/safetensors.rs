//! The safetensors format, read and written one tensor at a time.
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use safetensors::tensor::{Dtype, Metadata};
use serde_json::json;

use super::{RawWeights, io, stored_shape, unreadable};
use crate::model::error::ModelError;
use crate::model::parameters::StateDict;

/// Headers of real models take some 100 kB.
const MAX_HEADER_BYTES: u64 = 100 << 20;

/// Writes tensors sorted by key, as 32-bit floats, one after the other so that a model is not held twice; durable when it
/// returns.
pub fn write_safetensors(path: &Path, state: &StateDict) -> Result<(), ModelError> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".to_owned(), json!({ "format": "pt" }));
    let mut end = 0;
    for (key, tensor) in state {
        let from = end;
        end += tensor.values.len() * size_of::<f32>();
        let shape = stored_shape(key, tensor);
        header.insert(key.clone(), json!({ "dtype": "F32", "shape": shape, "data_offsets": [from, end] }));
    }
    let mut header = serde_json::to_vec(&header).map_err(|error| unreadable(path, &error))?;
    // Data begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for tensor in state.values() {
            for chunk in tensor.values.chunks(1 << 16) {
                file.write_all(&chunk.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
            }
        }
        file.into_inner()?.sync_all()
    };
    write().map_err(io(path))
}

/// Reads every floating-point tensor as 32 bits.
pub fn read_safetensors(path: &Path) -> Result<StateDict, ModelError> {
    Ok(read_raw(path)?.state)
}

pub(super) fn read_raw(path: &Path) -> Result<RawWeights, ModelError> {
    let file = File::open(path).map_err(io(path))?;
    let file_bytes = file.metadata().map_err(io(path))?.len();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut length = [0; 8];
    reader.read_exact(&mut length).map_err(|_| unreadable(path, &"shorter than a safetensors header"))?;
    let header_bytes = u64::from_le_bytes(length);
    if header_bytes > MAX_HEADER_BYTES.min(file_bytes - 8) {
        return Err(unreadable(path, &format!("its header claims {header_bytes} bytes of a file of {file_bytes}")));
    }
    let mut header = vec![0; header_bytes as usize];
    reader.read_exact(&mut header).map_err(io(path))?;
    // Deserialising checks that names, shapes and offsets agree and leave no gap.
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|error| unreadable(path, &error))?;
    let expected = 8 + header_bytes + metadata.data_len() as u64;
    if expected != file_bytes {
        return Err(unreadable(path, &format!("it has {file_bytes} bytes, its header describes {expected}")));
    }
    let mut weights = RawWeights::default();
    let mut bytes = Vec::new();
    for key in metadata.offset_keys() {
        let Some(info) = metadata.info(&key) else { continue };
        bytes.resize(info.data_offsets.1 - info.data_offsets.0, 0);
        reader.read_exact(&mut bytes).map_err(io(path))?;
        weights.insert(&key, &info.shape, dtype_name(info.dtype), &bytes);
    }
    Ok(weights)
}

fn dtype_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "f32",
        Dtype::F16 => "f16",
        Dtype::BF16 => "bf16",
        Dtype::F64 => "f64",
        _ => "other",
    }
}
