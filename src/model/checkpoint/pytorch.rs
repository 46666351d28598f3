//! PyTorch's pickled archives: read by a parser that executes nothing, written as the reference's trainer writes them.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{RawWeights, io, stored_shape, unreadable};
use crate::model::error::ModelError;
use crate::model::parameters::{NamedTensor, StateDict};

const STATE_DICT: &str = "state_dict.";

/// Tensors of a state dict, or of the `state_dict` inside a trainer's file.
pub(super) fn read_raw(path: &Path) -> Result<RawWeights, ModelError> {
    // A missing file is reported as such, not as a broken archive.
    File::open(path).map_err(io(path))?;
    let reader = PytorchReader::new(path).map_err(|e| unreadable(path, &e))?;
    let nested = reader.keys().iter().any(|key| key.starts_with(STATE_DICT));
    let mut weights = RawWeights::default();
    for (key, tensor) in reader.tensors() {
        let key = match (nested, key.strip_prefix(STATE_DICT)) {
            (true, Some(key)) => key,
            (true, None) => continue,
            (false, _) => key.as_str(),
        };
        let dtype = match tensor.dtype() {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F64 => "f64",
            _ => continue,
        };
        let bytes = tensor.read().map_err(|e| unreadable(path, &e))?;
        weights.insert(key, tensor.shape(), dtype, &bytes);
    }
    Ok(weights)
}

/// Writes `{epoch, step, name, state_dict}` with `module.` before every key, which the reference's trainer resumes from
/// and its `load_from_name` reads.
pub fn write_pytorch(path: &Path, name: &str, state: &StateDict) -> Result<(), ModelError> {
    let file = File::create(path).map_err(io(path))?;
    let mut archive = ZipWriter::new(BufWriter::new(file));
    let options = SimpleFileOptions::default();
    let mut entry = |name: &str, chunks: &mut dyn Iterator<Item = Vec<u8>>| -> Result<(), ModelError> {
        archive.start_file(format!("archive/{name}"), options).map_err(|error| unreadable(path, &error))?;
        for chunk in chunks {
            archive.write_all(&chunk).map_err(io(path))?;
        }
        Ok(())
    };
    entry("data.pkl", &mut std::iter::once(pickle(name, state)))?;
    entry("byteorder", &mut std::iter::once(b"little".to_vec()))?;
    for (index, tensor) in state.values().enumerate() {
        let chunks = tensor.values.chunks(1 << 18);
        let mut bytes = chunks.map(|chunk| chunk.iter().flat_map(|v| v.to_le_bytes()).collect());
        entry(&format!("data/{index}"), &mut bytes)?;
    }
    entry("version", &mut std::iter::once(b"3\n".to_vec()))?;
    let mut out = archive.finish().map_err(|error| unreadable(path, &error))?;
    out.flush().map_err(io(path))
}

/// The archive's object graph in pickle protocol 2; storage i is the file `data/i`.
fn pickle(name: &str, state: &StateDict) -> Vec<u8> {
    let mut out = Pickle { bytes: vec![0x80, 2] };
    out.dict(|out| {
        for field in ["epoch", "step"] {
            out.text(field);
            out.integer(0);
        }
        out.text("name");
        out.text(name);
        out.text("state_dict");
        out.dict(|out| {
            for (index, (key, tensor)) in state.iter().enumerate() {
                out.text(&format!("module.{key}"));
                out.tensor(index, stored_shape(key, tensor), tensor);
            }
        });
    });
    out.bytes.push(b'.');
    out.bytes
}

/// Opcodes as Python's `pickletools` names them.
struct Pickle {
    bytes: Vec<u8>,
}

impl Pickle {
    /// `EMPTY_DICT MARK … SETITEMS`.
    fn dict(&mut self, items: impl FnOnce(&mut Self)) {
        self.bytes.extend(b"}(");
        items(self);
        self.bytes.push(b'u');
    }

    /// `MARK … TUPLE`.
    fn tuple(&mut self, items: impl FnOnce(&mut Self)) {
        self.bytes.push(b'(');
        items(self);
        self.bytes.push(b't');
    }

    /// `BINUNICODE`.
    fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    /// `BININT`, or `LONG1` beyond 32 bits.
    fn integer(&mut self, value: usize) {
        if let Ok(small) = i32::try_from(value) {
            self.bytes.push(b'J');
            self.bytes.extend(small.to_le_bytes());
        } else {
            self.bytes.extend([0x8a, 9]);
            self.bytes.extend((value as u64).to_le_bytes());
            self.bytes.push(0);
        }
    }

    /// `GLOBAL`.
    fn global(&mut self, module: &str, name: &str) {
        self.bytes.push(b'c');
        self.bytes.extend(format!("{module}\n{name}\n").as_bytes());
    }

    /// A contiguous float tensor over storage `index`, as `torch.save` describes it.
    fn tensor(&mut self, index: usize, shape: &[usize], tensor: &NamedTensor) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.tuple(|out| {
            out.tuple(|out| {
                out.text("storage");
                out.global("torch", "FloatStorage");
                out.text(&index.to_string());
                out.text("cpu");
                out.integer(tensor.values.len());
            });
            // BINPERSID, then the offset into the storage.
            out.bytes.push(b'Q');
            out.integer(0);
            out.tuple(|out| shape.iter().for_each(|size| out.integer(*size)));
            out.tuple(|out| {
                (0..shape.len()).for_each(|axis| out.integer(shape.iter().skip(axis + 1).product()));
            });
            // requires_grad = False, backward_hooks = OrderedDict().
            out.bytes.push(0x89);
            out.global("collections", "OrderedDict");
            out.bytes.extend(b")R");
        });
        // REDUCE: the global below is called with the tuple on top.
        self.bytes.push(b'R');
    }
}
