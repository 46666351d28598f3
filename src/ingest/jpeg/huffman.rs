//! Huffman tables that yield a whole coefficient per look-up: code, run of zeros and magnitude at once.

use super::error::JpegError;
use super::markers::DHT;

/// Bits of a look-up that decodes code and magnitude together; longer pairs take the slow way.
pub(super) const FUSED_BITS: u32 = 11;
const SYMBOL_BITS: u32 = 9;
/// A skip that leads out of every block.
pub(super) const END_OF_BLOCK: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Dc,
    Ac,
}

/// What one look-up decoded, packed: bits 0..8 its length, 8..16 how far to advance in the block, 16..32 the value.
/// The zero entry decodes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Entry {
    pub(super) const NONE: Self = Self(0);

    /// Of a code of `code_bits` for `symbol`, followed by the magnitude bits in `magnitude`.
    fn new(class: Class, symbol: u8, code_bits: u32, magnitude: u32) -> Self {
        let size = u32::from(symbol & 15);
        let skip = match (class, symbol >> 4, size) {
            (Class::Dc, ..) => 0,
            (Class::Ac, run, 0) if run < 15 => END_OF_BLOCK as u32,
            (Class::Ac, run, _) => u32::from(run) + 1,
        };
        let value = extend(magnitude, size) as u16;
        Self((code_bits + size) | (skip << 8) | (u32::from(value) << 16))
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xFF
    }

    #[inline(always)]
    pub(super) fn skip(self) -> usize {
        (self.0 >> 8 & 0xFF) as usize
    }

    #[inline(always)]
    pub(super) fn value(self) -> i16 {
        (self.0 >> 16) as i16
    }
}

/// The signed value that `size` magnitude bits stand for (figure F.12).
#[inline(always)]
pub(super) fn extend(magnitude: u32, size: u32) -> i32 {
    if size > 0 && magnitude >> (size - 1) == 0 { magnitude as i32 - (1 << size) + 1 } else { magnitude as i32 }
}

#[derive(Clone, Debug)]
pub(super) struct HuffmanTable {
    class: Class,
    fused: [Entry; 1 << FUSED_BITS],
    /// Length << 8 | symbol of every short code; 0 for longer ones.
    symbols: [u16; 1 << SYMBOL_BITS],
    /// Per code length: the first left-aligned 16-bit pattern whose code is longer.
    limits: [u32; 17],
    /// Per code length: what to add to a code for its index in `values`.
    offsets: [i32; 17],
    values: [u8; 256],
}

impl HuffmanTable {
    /// `counts[i]` codes have length i + 1; `values` are their symbols in order.
    pub(super) fn new(class: Class, counts: &[u8; 16], values: &[u8]) -> Result<Box<Self>, JpegError> {
        let bad = |problem| JpegError::Segment { marker: DHT, problem };
        let mut table = Box::new(Self {
            class,
            fused: [Entry::NONE; 1 << FUSED_BITS],
            symbols: [0; 1 << SYMBOL_BITS],
            limits: [0; 17],
            offsets: [0; 17],
            values: [0; 256],
        });
        let stored = table.values.get_mut(..values.len()).ok_or(bad("more than 256 symbols"))?;
        stored.copy_from_slice(values);
        if class == Class::Dc && values.iter().any(|&size| size > 15) {
            return Err(bad("DC size above 15"));
        }
        let mut code = 0_u32;
        let mut symbols = values.iter();
        for ((length, &count), (limit, offset)) in
            (1_u32..).zip(counts).zip(table.limits.iter_mut().zip(&mut table.offsets).skip(1))
        {
            *offset = (values.len() - symbols.len()) as i32 - code as i32;
            for &symbol in symbols.by_ref().take(usize::from(count)) {
                fill_symbol(&mut table.symbols, symbol, code, length);
                fill_fused(&mut table.fused, class, symbol, code, length);
                code += 1;
            }
            // No code may be all ones, so a full length is one code too many.
            if count > 0 && code >= 1 << length {
                return Err(bad("more codes than their length allows"));
            }
            *limit = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    /// Decodes the pair at the top of `bits` if it is short, as nearly all are.
    #[inline(always)]
    pub(super) fn short(&self, bits: u64) -> Entry {
        // The index is within the table: a shift by 64 - n leaves n bits.
        self.fused.get((bits >> (64 - FUSED_BITS)) as usize).copied().unwrap_or(Entry::NONE)
    }

    /// Decodes any pair at the top of `bits`, up to 31 bits; none if no code begins like that.
    #[cold]
    #[inline(never)]
    pub(super) fn long(&self, bits: u64) -> Entry {
        let Some((symbol, code_bits)) = self.symbol(bits) else { return Entry::NONE };
        let size = u32::from(symbol & 15);
        let magnitude = if size == 0 { 0 } else { ((bits << code_bits) >> (64 - size)) as u32 };
        Entry::new(self.class, symbol, code_bits, magnitude)
    }

    /// The symbol whose code is at the top of `bits`, and the code's length.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: u64) -> Option<(u8, u32)> {
        let short = self.symbols.get((bits >> (64 - SYMBOL_BITS)) as usize).copied().unwrap_or(0);
        if short != 0 {
            return Some((short as u8, u32::from(short >> 8)));
        }
        let top = (bits >> 48) as u32;
        let length = (1..).zip(self.limits.get(1..)?).find(|(_, limit)| top < **limit)?.0;
        let index = (top >> (16 - length)) as i32 + *self.offsets.get(length as usize)?;
        Some((*self.values.get(index as usize)?, length))
    }
}

/// Writes `symbol` to every entry that begins with its code.
fn fill_symbol(symbols: &mut [u16; 1 << SYMBOL_BITS], symbol: u8, code: u32, length: u32) {
    let Some(free) = SYMBOL_BITS.checked_sub(length) else { return };
    let start = (code << free) as usize;
    if let Some(entries) = symbols.get_mut(start..start + (1 << free)) {
        entries.fill((length as u16) << 8 | u16::from(symbol));
    }
}

/// Writes every magnitude of `symbol` that fits behind its code.
fn fill_fused(fused: &mut [Entry; 1 << FUSED_BITS], class: Class, symbol: u8, code: u32, length: u32) {
    let size = u32::from(symbol & 15);
    let Some(free) = FUSED_BITS.checked_sub(length) else { return };
    let Some(repeats) = free.checked_sub(size) else { return };
    let start = (code << free) as usize;
    if let Some(entries) = fused.get_mut(start..start + (1 << free)) {
        for (magnitude, same) in (0..).zip(entries.chunks_exact_mut(1 << repeats)) {
            same.fill(Entry::new(class, symbol, length, magnitude));
        }
    }
}
