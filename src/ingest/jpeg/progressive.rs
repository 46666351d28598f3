//! Blocks of progressive scans: first passes and refinements of DC and of a band of AC coefficients (G.1.2).

use super::bits::BitReader;
use super::coefficients::Block;
use super::error::JpegError;
use super::huffman::{HuffmanTable, extend};
use super::scan_decoder::{Part, Position};
use super::tables::ZIGZAG;

/// Zigzag positions of a band, and the bit its values are shifted by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) low: u32,
}

#[inline(always)]
pub(super) fn dc_first(
    position: &mut Position<'_>,
    part: &Part<'_>,
    low: u32,
    block: &mut Block,
) -> Result<(), JpegError> {
    let Some(table) = part.dc else { return Ok(()) };
    position.bits.refill();
    let size = u32::from(symbol(table, &mut position.bits)?);
    let difference = magnitude(&mut position.bits, size);
    let value = position.predict(part.slot, difference)?;
    let [first, ..] = block;
    *first = shifted(i32::from(value), low)?;
    Ok(())
}

#[inline(always)]
pub(super) fn dc_refine(position: &mut Position<'_>, low: u32, block: &mut Block) {
    position.bits.refill_below(1);
    let [first, ..] = block;
    *first |= (position.bits.take(1) << low) as i16;
}

#[inline(always)]
pub(super) fn ac_first(
    position: &mut Position<'_>,
    part: &Part<'_>,
    band: Band,
    block: &mut Block,
) -> Result<(), JpegError> {
    if position.band_run > 0 {
        position.band_run -= 1;
        return Ok(());
    }
    let Some(table) = part.ac else { return Ok(()) };
    let mut bits = position.bits;
    let mut at = band.first;
    while at <= band.last {
        bits.refill_below(32);
        let symbol = symbol(table, &mut bits)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && run < 15 {
            position.band_run = end_of_bands(run, &mut bits) - 1;
            break;
        }
        at += run as usize;
        if size > 0 {
            let value = shifted(i32::from(magnitude(&mut bits, size)), band.low)?;
            *coefficient(block, at).ok_or_else(too_many)? = value;
        }
        at += 1;
    }
    position.bits = bits;
    Ok(())
}

#[inline(always)]
pub(super) fn ac_refine(
    position: &mut Position<'_>,
    part: &Part<'_>,
    band: Band,
    block: &mut Block,
) -> Result<(), JpegError> {
    let Some(table) = part.ac else { return Ok(()) };
    let mut bits = position.bits;
    let one = 1_i16 << band.low;
    let mut at = band.first;
    while position.band_run == 0 && at <= band.last {
        bits.refill_below(32);
        let symbol = symbol(table, &mut bits)?;
        let (run, size) = (u32::from(symbol >> 4), symbol & 15);
        let value = match size {
            0 if run < 15 => {
                position.band_run = end_of_bands(run, &mut bits);
                break;
            }
            0 => 0,
            1 if bits.take(1) == 1 => one,
            1 => -one,
            _ => return Err(JpegError::Corrupt { problem: "a refinement of more than one bit" }),
        };
        at = refine(&mut bits, block, at..=band.last, Some(run), one);
        if value != 0 {
            *coefficient(block, at).ok_or_else(too_many)? = value;
        }
        at += 1;
    }
    if position.band_run > 0 {
        refine(&mut bits, block, at..=band.last, None, one);
        position.band_run -= 1;
    }
    position.bits = bits;
    Ok(())
}

/// Reads a correction bit for every coefficient that is known already, up to the zero behind `zeros` others, and
/// returns the position of that one.
#[inline(always)]
fn refine(
    bits: &mut BitReader<'_>,
    block: &mut Block,
    band: std::ops::RangeInclusive<usize>,
    mut zeros: Option<u32>,
    one: i16,
) -> usize {
    let end = *band.end() + 1;
    for at in band {
        // A band ends at 63, so the masks change nothing; they spare the bounds checks.
        let value = &mut block[usize::from(ZIGZAG[at & 63] & 63)];
        if *value != 0 {
            bits.refill_below(1);
            // A bit that is set already was corrected before, which only a broken file does.
            if bits.take(1) == 1 && *value & one == 0 {
                *value = value.wrapping_add(if *value >= 0 { one } else { -one });
            }
        } else if let Some(left) = &mut zeros {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return at,
            }
        }
    }
    end
}

/// The blocks, this one included, whose bands end here (G.1.2.2).
#[inline(always)]
fn end_of_bands(run: u32, bits: &mut BitReader<'_>) -> u32 {
    bits.refill_below(16);
    if run == 0 { 1 } else { (1 << run) + bits.take(run) }
}

#[inline(always)]
fn symbol(table: &HuffmanTable, bits: &mut BitReader<'_>) -> Result<u8, JpegError> {
    let code = table.code(bits.peek()).ok_or(JpegError::Corrupt { problem: "no such Huffman code" })?;
    bits.consume(code.length());
    Ok(code.symbol())
}

/// The signed value of the next `size` bits.
#[inline(always)]
fn magnitude(bits: &mut BitReader<'_>, size: u32) -> i16 {
    if size == 0 {
        return 0;
    }
    let value = extend(bits.peek(), size);
    bits.consume(size);
    value
}

#[inline(always)]
fn shifted(value: i32, low: u32) -> Result<i16, JpegError> {
    i16::try_from(value << low).map_err(|_| JpegError::Corrupt { problem: "coefficient out of range" })
}

#[inline(always)]
fn coefficient(block: &mut Block, at: usize) -> Option<&mut i16> {
    ZIGZAG.get(at).and_then(|&natural| block.get_mut(usize::from(natural)))
}

fn too_many() -> JpegError {
    JpegError::Corrupt { problem: "more than 64 coefficients in a block" }
}
