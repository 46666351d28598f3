//! In what order documents lie in the index: short ones first. A window of neighbours then has nearly one length, a term gives them nearly the
//! same, and windows of longer documents are passed over once the best are found.
use std::path::Path;

use crate::index::IndexError;
use crate::store::StoreError;

/// Name of the file, little-endian 32-bit numbers by place.
const FILE: &str = "order";

/// Numbers of the documents by place, and the other way round.
pub struct DocumentOrder {
    pub numbers: Vec<u32>,
    places: Vec<u32>,
}

impl DocumentOrder {
    /// Documents in order of their `lengths`, equal ones in order of their numbers.
    pub fn by_length(lengths: &[usize]) -> Self {
        let mut numbers: Vec<u32> = (0..lengths.len() as u32).collect();
        numbers.sort_by_key(|number| lengths[*number as usize]);
        let mut places = vec![0; numbers.len()];
        (0..).zip(&numbers).for_each(|(place, number): (u32, &u32)| places[*number as usize] = place);
        Self { numbers, places }
    }

    /// Place of a document, if there is one of this number.
    pub fn place(&self, number: usize) -> Option<u32> {
        self.places.get(number).copied()
    }

    /// Writes the file below `path`.
    pub fn save(&self, path: &Path) -> Result<(), IndexError> {
        let file = path.join(FILE);
        let bytes: Vec<u8> = self.numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        Ok(std::fs::write(&file, bytes).map_err(StoreError::io(&file))?)
    }

    /// Reads what [`save`](Self::save) wrote for as many `documents`.
    pub fn open(path: &Path, documents: u32) -> Result<Self, IndexError> {
        let file = path.join(FILE);
        let bytes = std::fs::read(&file).map_err(StoreError::io(&file))?;
        let broken = |reason: &str| IndexError::Broken { path: file.clone(), reason: reason.to_owned() };
        if bytes.len() != documents as usize * 4 {
            return Err(broken("it does not belong to the documents"));
        }
        let numbers: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let mut places = vec![u32::MAX; numbers.len()];
        for (place, number) in (0..).zip(&numbers) {
            match places.get_mut(*number as usize) {
                Some(free) if *free == u32::MAX => *free = place,
                _ => return Err(broken("a number is missing or comes twice")),
            }
        }
        Ok(Self { numbers, places })
    }
}
