//! Ground truth, as we read it and as the reference would.
use std::path::Path;

use crate::evaluate::Direction;
use crate::evaluate::files::{FileError, Judgements, parse_truth, transposed, write_transposed};

/// What is relevant to the queries of one direction.
pub struct Truth {
    pub judgements: Vec<Judgements>,
    /// The file that the reference would be given.
    pub bytes: Vec<u8>,
}

impl Truth {
    /// Reads a truth file; for image to text one of the other direction will do.
    pub fn read(path: &Path, direction: Direction) -> Result<Self, FileError> {
        let bytes = std::fs::read(path).map_err(FileError::io(path))?;
        let first = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
        let turned = memchr::memmem::find(first, b"\"text_ids\"").is_some();
        if direction == Direction::ImageToText && !turned {
            return Self::turned(&parse_truth(path, &bytes, Direction::TextToImage)?).map_err(FileError::io(path));
        }
        Ok(Self { judgements: parse_truth(path, &bytes, direction)?, bytes })
    }

    /// Of image to text, from that of text to image.
    pub fn turned(judgements: &[Judgements]) -> std::io::Result<Self> {
        let judgements = transposed(judgements);
        let mut bytes = Vec::new();
        write_transposed(&mut bytes, &judgements)?;
        Ok(Self { judgements, bytes })
    }
}
