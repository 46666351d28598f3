//! Huffman tables; those of sequential scans tell up to two coefficients by one look-up.

use std::cell::RefCell;
use std::rc::Rc;

use super::error::JpegError;
use super::markers::DHT;

/// Bits of a look-up; longer codes take the slow way.
const LOOKUP_BITS: u32 = 11;
/// A skip that leads out of every block.
pub(super) const END_OF_BLOCK: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Dc,
    Ac,
}

/// A code's length and its symbol, packed as `length << 8 | symbol`. The zero is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(u16);

impl Code {
    const NONE: Self = Self(0);

    fn new(length: u32, symbol: u8) -> Self {
        Self((length as u16) << 8 | u16::from(symbol))
    }

    #[inline(always)]
    pub(super) fn length(self) -> u32 {
        u32::from(self.0 >> 8)
    }

    #[inline(always)]
    pub(super) fn symbol(self) -> u8 {
        self.0 as u8
    }

    /// Bits of the magnitude that follows the code.
    #[inline(always)]
    pub(super) fn size(self) -> u32 {
        u32::from(self.0 & 15)
    }

    /// How far the coefficient of an AC code lies behind the last one.
    #[inline(always)]
    pub(super) fn skip(self) -> usize {
        match (self.symbol() >> 4, self.size()) {
            (run, 0) if run < 15 => END_OF_BLOCK,
            (run, _) => usize::from(run) + 1,
        }
    }
}

/// The signed value of the `size` magnitude bits, 0 to 15, at the top of `bits` (figure F.12): those of a negative value
/// are the complement of its amount.
#[inline(always)]
pub(super) fn extend(bits: u64, size: u32) -> i16 {
    let complement = !((bits as i64 >> 63) as u64);
    let amount = ((bits ^ complement) >> 1) >> (63 - size);
    (amount ^ complement).wrapping_sub(complement) as i16
}

/// What one look-up says of the next one or two AC coefficients, packed: bits 0..6 how many bits it took, 6..11 how far
/// the first is ahead in the block, 11..18 how far the second, 18..25 and 25..32 their values. One alone counts as both;
/// an end of block leads out of any block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair(u32);

impl Pair {
    /// Leads out of every block without taking any bits: not to be told by a look-up.
    const NONE: Self = Self(127 << 11);
    const END: u32 = 64;

    /// Of codes whose first one is at the top of `bits`.
    fn new(table: &[Code; 1 << LOOKUP_BITS], bits: u64) -> Self {
        let Some((length, skip, value)) = short(table, bits, LOOKUP_BITS) else { return Self::NONE };
        if skip == END_OF_BLOCK {
            return Self(length | Self::END << 11);
        }
        let pack = |bits: u32, first: (usize, i16), second: (usize, i16)| {
            let value = |value: i16| u32::from(value as u16) & 127;
            Self(bits | (first.0 as u32) << 6 | (second.0 as u32) << 11 | value(first.1) << 18 | value(second.1) << 25)
        };
        match short(table, bits << length, LOOKUP_BITS - length) {
            None => pack(length, (skip, value), (skip, value)),
            Some((more, END_OF_BLOCK, _)) => pack(length + more, (skip, value), (Self::END as usize, 0)),
            Some((more, further, second)) => pack(length + more, (skip, value), (skip + further, second)),
        }
    }

    /// Bits taken; the low six bits count where something is shifted by it.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// 0 where the look-up tells nothing or the end of the block.
    #[inline(always)]
    pub(super) fn first_skip(self) -> usize {
        (self.0 >> 6 & 31) as usize
    }

    #[inline(always)]
    pub(super) fn skip(self) -> usize {
        (self.0 >> 11 & 127) as usize
    }

    #[inline(always)]
    pub(super) fn first(self) -> i16 {
        ((self.0 << 7) as i32 >> 25) as i16
    }

    #[inline(always)]
    pub(super) fn second(self) -> i16 {
        (self.0 as i32 >> 25) as i16
    }

    /// Whether the end of the block comes first or second.
    #[inline(always)]
    pub(super) fn ends_block(self) -> bool {
        self.0 & (127 << 11) == Self::END << 11
    }
}

/// What one look-up says of all AC codes that lie in it, for blocks that are not wanted, packed: bits 0..6 how many bits
/// they take with their magnitudes, the last of which may lie behind; from 6 on how far they lead in the block, or out of
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stride(u16);

impl Stride {
    const NONE: Self = Self(255 << 6);

    fn new(table: &[Code; 1 << LOOKUP_BITS], index: u64) -> Self {
        let (mut bits, mut skip) = (0, 0);
        while bits < LOOKUP_BITS {
            let ahead = (index << bits) as usize & ((1 << LOOKUP_BITS) - 1);
            let code = table.get(ahead).copied().unwrap_or(Code::NONE);
            let ends = code.skip() == END_OF_BLOCK;
            if code == Code::NONE || bits + code.length() > LOOKUP_BITS || (!ends && skip + code.skip() > 62) {
                break;
            }
            bits += code.length() + code.size();
            skip += code.skip();
            if ends {
                break;
            }
        }
        if bits == 0 { Self::NONE } else { Self(bits as u16 | (skip as u16) << 6) }
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        u32::from(self.0)
    }

    #[inline(always)]
    pub(super) fn skip(self) -> usize {
        usize::from(self.0 >> 6)
    }

    /// Whether it leads to the end of the block.
    #[inline(always)]
    pub(super) fn ends_block(self) -> bool {
        self.skip() >= END_OF_BLOCK && self != Self::NONE
    }

    /// Whether it leads, before any end of block, no further than position 62 when it starts at `at`.
    #[inline(always)]
    pub(super) fn stays_inside(self, at: usize) -> bool {
        at + self.skip() % END_OF_BLOCK < 63
    }
}

/// Length with magnitude, skip and value of the code at the top of `bits` if all of it lies in the first `available` bits
/// and its value within 7 bits.
fn short(table: &[Code; 1 << LOOKUP_BITS], bits: u64, available: u32) -> Option<(u32, usize, i16)> {
    let code = *table.get((bits >> (64 - LOOKUP_BITS)) as usize)?;
    let length = code.length() + code.size();
    if code == Code::NONE || length > available || code.size() > 6 {
        return None;
    }
    Some((length, code.skip(), extend(bits << code.length(), code.size())))
}

#[derive(Clone, Debug)]
pub(super) struct HuffmanTable {
    codes: [Code; 1 << LOOKUP_BITS],
    /// Of AC tables.
    pairs: [Pair; 1 << LOOKUP_BITS],
    strides: [Stride; 1 << LOOKUP_BITS],
    /// Per code length: the first left-aligned 16-bit pattern whose code is longer.
    limits: [u32; 17],
    /// Per code length: what to add to a code for its index in `values`.
    offsets: [i32; 17],
    values: [u8; 256],
}

thread_local! {
    /// The tables made last: most files bring the same four, and making them takes a fiftieth of the time for a photo.
    static RECENT: RefCell<Vec<Recent>> = const { RefCell::new(Vec::new()) };
}
const MAX_RECENT: usize = 8;

struct Recent {
    class: Class,
    counts: [u8; 16],
    values: Vec<u8>,
    table: Rc<HuffmanTable>,
}

impl HuffmanTable {
    /// The table made of these, or one made before.
    pub(super) fn shared(class: Class, counts: &[u8; 16], values: &[u8]) -> Result<Rc<Self>, JpegError> {
        RECENT.with_borrow_mut(|recent| {
            let same = |one: &&Recent| one.class == class && one.counts == *counts && one.values == values;
            if let Some(found) = recent.iter().find(same) {
                return Ok(Rc::clone(&found.table));
            }
            let table: Rc<Self> = Self::new(class, counts, values)?.into();
            recent.truncate(MAX_RECENT - 1);
            recent.insert(0, Recent { class, counts: *counts, values: values.to_vec(), table: Rc::clone(&table) });
            Ok(table)
        })
    }

    /// `counts[i]` codes have length i + 1; `values` are their symbols in order.
    fn new(class: Class, counts: &[u8; 16], values: &[u8]) -> Result<Box<Self>, JpegError> {
        let bad = |problem| JpegError::Segment { marker: DHT, problem };
        let mut table = Box::new(Self {
            codes: [Code::NONE; 1 << LOOKUP_BITS],
            pairs: [Pair::NONE; 1 << LOOKUP_BITS],
            strides: [Stride::NONE; 1 << LOOKUP_BITS],
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
                fill(&mut table.codes, Code::new(length, symbol), code);
                code += 1;
            }
            // No code may be all ones, so a full length is one code too many.
            if count > 0 && code >= 1 << length {
                return Err(bad("more codes than their length allows"));
            }
            *limit = code << (16 - length);
            code <<= 1;
        }
        if class == Class::Ac {
            table.fill_pairs();
        }
        Ok(table)
    }

    fn fill_pairs(&mut self) {
        for (index, pair) in (0_u64..).zip(&mut self.pairs) {
            *pair = Pair::new(&self.codes, index << (64 - LOOKUP_BITS));
        }
        for (index, stride) in (0_u64..).zip(&mut self.strides) {
            *stride = Stride::new(&self.codes, index);
        }
    }

    /// What is at the top of `bits`, as far as one look-up tells. Only AC tables have pairs.
    #[inline(always)]
    pub(super) fn pair(&self, bits: u64) -> Pair {
        // The index is within the table: a shift by 64 - n leaves n bits.
        self.pairs.get((bits >> (64 - LOOKUP_BITS)) as usize).copied().unwrap_or(Pair::NONE)
    }

    #[inline(always)]
    pub(super) fn stride(&self, bits: u64) -> Stride {
        self.strides.get((bits >> (64 - LOOKUP_BITS)) as usize).copied().unwrap_or(Stride::NONE)
    }

    /// The code at the top of `bits`.
    #[inline(always)]
    pub(super) fn code(&self, bits: u64) -> Option<Code> {
        let short = self.codes.get((bits >> (64 - LOOKUP_BITS)) as usize).copied().unwrap_or(Code::NONE);
        if short == Code::NONE { self.long(bits) } else { Some(short) }
    }

    #[cold]
    #[inline(never)]
    fn long(&self, bits: u64) -> Option<Code> {
        let top = (bits >> 48) as u32;
        let length = (1..).zip(self.limits.get(1..)?).find(|(_, limit)| top < **limit)?.0;
        let index = (top >> (16 - length)) as i32 + *self.offsets.get(length as usize)?;
        Some(Code::new(length, *self.values.get(index as usize)?))
    }
}

/// Writes a code to every entry that begins with it.
fn fill(codes: &mut [Code; 1 << LOOKUP_BITS], entry: Code, code: u32) {
    let Some(free) = LOOKUP_BITS.checked_sub(entry.length()) else { return };
    let start = (code << free) as usize;
    if let Some(entries) = codes.get_mut(start..start + (1 << free)) {
        entries.fill(entry);
    }
}
