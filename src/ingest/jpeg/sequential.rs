//! Blocks of baseline and extended sequential scans.

use super::coefficients::Block;
use super::error::JpegError;
use super::huffman::{END_OF_BLOCK, Entry, HuffmanTable};
use super::scan_decoder::{Part, Position};
use super::tables::ZIGZAG;

/// Decodes a block of zeros into its coefficients (F.2.2).
#[inline(always)]
pub(super) fn block(position: &mut Position<'_>, part: &Part<'_>, block: &mut Block) -> Result<(), JpegError> {
    let (Some(dc), Some(ac)) = (part.dc, part.ac) else { return Ok(()) };
    // A copy, so that the bits stay in registers.
    let mut bits = position.bits;
    bits.refill();
    let difference = pair(dc, bits.peek())?;
    bits.consume(difference.bits());
    let [first, ..] = block;
    *first = predict(position, part.slot, difference.value())?;
    let mut at = 0;
    loop {
        bits.refill_below(32);
        let next = pair(ac, bits.peek())?;
        bits.consume(next.bits());
        at += next.skip();
        if at >= 63 {
            finish(at, next, block)?;
            break;
        }
        put(block, at, next.value());
    }
    position.bits = bits;
    Ok(())
}

/// The new DC value, which the next block of the component is predicted from.
#[inline(always)]
pub(super) fn predict(position: &mut Position<'_>, slot: usize, difference: i16) -> Result<i16, JpegError> {
    let Some(predictor) = position.predictors.get_mut(slot) else { return Ok(0) };
    *predictor += i32::from(difference);
    i16::try_from(*predictor).map_err(|_| JpegError::Corrupt { problem: "DC coefficient out of range" })
}

/// Decodes a pair of code and magnitude, for which 31 bits must be available.
#[inline(always)]
fn pair(table: &HuffmanTable, bits: u64) -> Result<Entry, JpegError> {
    let mut entry = table.short(bits);
    if entry == Entry::NONE {
        entry = table.long(bits);
        if entry == Entry::NONE {
            return Err(JpegError::Corrupt { problem: "no such Huffman code" });
        }
    }
    Ok(entry)
}

/// Stores the coefficient at zigzag position `at`, below 64.
#[inline(always)]
fn put(block: &mut Block, at: usize, value: i16) {
    // The masks change nothing; they spare the bounds checks.
    let natural = ZIGZAG[at & 63];
    block[usize::from(natural & 63)] = value;
}

#[inline(always)]
fn finish(at: usize, last: Entry, block: &mut Block) -> Result<(), JpegError> {
    match at {
        63 => put(block, 63, last.value()),
        END_OF_BLOCK.. => {}
        _ => return Err(JpegError::Corrupt { problem: "more than 64 coefficients in a block" }),
    }
    Ok(())
}
