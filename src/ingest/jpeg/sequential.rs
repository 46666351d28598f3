//! Blocks of baseline and extended sequential scans.

use super::bits::BitReader;
use super::coefficients::Block;
use super::error::JpegError;
use super::huffman::{END_OF_BLOCK, HuffmanTable, extend};
use super::tables::ZIGZAG;

/// Look-ups between refills: each takes at most 11 bits.
const LOOKUPS: usize = 4;

/// The same where blocks are passed over: each takes at most 26 bits.
const STRIDES: usize = 2;

const NO_SUCH_CODE: JpegError = JpegError::Corrupt { problem: "no such Huffman code" };

/// Decodes the coefficients of a block (F.2.2) and hands those that are not zero to `put` with their zigzag position, which
/// is 0 for what is to be overlooked. Returns DC as the difference to the block before. The bits come and go by value, so
/// that they stay in registers.
#[inline(always)]
pub(super) fn block<'a>(
    mut bits: BitReader<'a>,
    dc: &HuffmanTable,
    ac: &HuffmanTable,
    mut put: impl FnMut(usize, i16),
) -> Result<(BitReader<'a>, i16), JpegError> {
    let (difference, mut at);
    (bits, difference) = dc_difference(bits, dc)?;
    at = 0;
    'pairs: loop {
        bits.refill();
        for _ in 0..LOOKUPS {
            let next = ac.pair(bits.peek());
            let (first, second) = (at + next.first_skip(), at + next.skip());
            if second < 63 {
                bits.consume(next.bits());
                put(first, next.first());
                put(second, next.second());
                at = second;
                continue;
            }
            if next.ends_block() && first < 63 {
                bits.consume(next.bits());
                // The end of the block may be alone.
                put(if next.first_skip() == 0 { 0 } else { first }, next.first());
                return Ok((bits, difference));
            }
            // A code that look-ups do not tell, or the last coefficient: one at a time.
            bits.refill();
            let code = ac.code(bits.peek()).ok_or(NO_SUCH_CODE)?;
            bits.consume(code.length());
            at += code.skip();
            let value = extend(bits.peek(), code.size());
            bits.consume(code.size());
            if at < 63 {
                put(at, value);
                continue 'pairs;
            }
            if at == 63 {
                put(at, value);
            } else if at < END_OF_BLOCK {
                return Err(JpegError::Corrupt { problem: "more than 64 coefficients in a block" });
            }
            return Ok((bits, difference));
        }
    }
}

/// Passes over a block; returns what `block` does.
#[inline(always)]
pub(super) fn skip<'a>(
    mut bits: BitReader<'a>,
    dc: &HuffmanTable,
    ac: &HuffmanTable,
) -> Result<(BitReader<'a>, i16), JpegError> {
    let (difference, mut at);
    (bits, difference) = dc_difference(bits, dc)?;
    at = 0;
    loop {
        bits.refill();
        for _ in 0..STRIDES {
            let next = ac.stride(bits.peek());
            let ahead = at + next.skip();
            if ahead < 63 {
                bits.consume(next.bits());
                at = ahead;
                continue;
            }
            if next.ends_block() && next.stays_inside(at) {
                bits.consume(next.bits());
                return Ok((bits, difference));
            }
            bits.refill();
            let code = ac.code(bits.peek()).ok_or(NO_SUCH_CODE)?;
            bits.consume(code.length());
            bits.consume(code.size());
            at += code.skip();
            if at < 63 {
                break;
            }
            if at == 63 || at >= END_OF_BLOCK {
                return Ok((bits, difference));
            }
            return Err(JpegError::Corrupt { problem: "more than 64 coefficients in a block" });
        }
    }
}

#[inline(always)]
fn dc_difference<'a>(mut bits: BitReader<'a>, table: &HuffmanTable) -> Result<(BitReader<'a>, i16), JpegError> {
    bits.refill();
    let code = table.code(bits.peek()).ok_or(NO_SUCH_CODE)?;
    bits.consume(code.length());
    let difference = extend(bits.peek(), code.size());
    bits.consume(code.size());
    Ok((bits, difference))
}

/// Stores the coefficient at zigzag position `at`, below 64.
#[inline(always)]
pub(super) fn store(block: &mut Block, at: usize, value: i16) {
    // The masks change nothing; they spare the bounds checks.
    let natural = ZIGZAG[at & 63];
    block[usize::from(natural & 63)] = value;
}
