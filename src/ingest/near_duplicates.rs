//! Pairs of near-equal hashes without comparing every pair: hashes that differ in at most three bits agree in one of four
//! quarters (the pigeonhole principle), so only hashes that share a quarter are compared. Pictures on a white ground share a
//! quarter by the thousand; there one of four parts of the other bits must agree too.
use rayon::prelude::*;

/// Hashes that differ in more bits are other pictures.
pub const NEAR_BITS: u32 = 3;

const PARTS: u32 = 4;
/// Larger buckets are divided once more.
const LARGE_BUCKET: usize = 512;

/// Positions `(a, b)`, `a < b`, of hashes that differ in at most `bits` bits, at most three; sorted. Equal hashes make a
/// chain, not every pair. A hash without a structure (all rows flat) is no evidence and has no pairs.
pub fn near_pairs(hashes: &[u64], bits: u32) -> Vec<(usize, usize)> {
    let bits = bits.min(NEAR_BITS);
    let mut order: Vec<usize> = (0..hashes.len()).filter(|at| has_structure(hashes[*at])).collect();
    order.sort_by_key(|at| (hashes[*at], *at));
    let mut pairs: Vec<(usize, usize)> =
        order.windows(2).filter(|two| hashes[two[0]] == hashes[two[1]]).map(|two| (two[0], two[1])).collect();
    // One position for each different hash.
    order.dedup_by_key(|at| hashes[*at]);
    let near: Vec<(usize, usize)> = (0..PARTS)
        .into_par_iter()
        .flat_map_iter(|quarter| {
            let own = |at: usize| (hashes[at] >> (16 * quarter)) & 0xffff;
            // The other 48 bits, closed up.
            let rest = move |at: usize| {
                let low = hashes[at] & ((1 << (16 * quarter)) - 1);
                let high = hashes[at].checked_shr(16 * (quarter + 1)).unwrap_or(0) << (16 * quarter);
                low | high
            };
            let mut near = Vec::new();
            for bucket in buckets(&order, own) {
                if bucket.len() <= LARGE_BUCKET {
                    near_in_bucket(&bucket, hashes, bits, &mut near);
                    continue;
                }
                for part in 0..PARTS {
                    for bucket in buckets(&bucket, |at| (rest(at) >> (12 * part)) & 0xfff) {
                        near_in_bucket(&bucket, hashes, bits, &mut near);
                    }
                }
            }
            near
        })
        .collect();
    pairs.extend(near);
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Positions that share a key.
fn buckets(positions: &[usize], key: impl Fn(usize) -> u64) -> Vec<Vec<usize>> {
    let mut sorted = positions.to_vec();
    sorted.sort_by_key(|at| key(*at));
    sorted.chunk_by(|a, b| key(*a) == key(*b)).filter(|bucket| bucket.len() > 1).map(<[usize]>::to_vec).collect()
}

fn near_in_bucket(bucket: &[usize], hashes: &[u64], bits: u32, near: &mut Vec<(usize, usize)>) {
    for (at, a) in bucket.iter().enumerate() {
        for b in &bucket[at + 1..] {
            if (hashes[*a] ^ hashes[*b]).count_ones() <= bits {
                near.push((*a.min(b), *a.max(b)));
            }
        }
    }
}

/// A flat picture has no falling step anywhere, and one that only darkens has nothing else.
fn has_structure(hash: u64) -> bool {
    (4..=60).contains(&hash.count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random hashes, and some of them with a few bits changed; `mask` bits are the same in all.
    fn hashes(mask: u64) -> Vec<u64> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11 ^ state << 23
        };
        let mut hashes: Vec<u64> = (0..900).map(|_| next() & !mask).collect();
        for at in 0..600 {
            let flips = next() % 6;
            let near = (0..flips).fold(hashes[at], |hash, _| hash ^ 1 << (next() % 64));
            hashes.push(near);
        }
        hashes
    }

    #[test]
    fn the_same_pairs_as_comparing_all() {
        // With 16 and with 32 bits in common the buckets are large.
        for mask in [0, 0xffff, 0xffff_0000_0000_0000, 0x0000_ffff_ffff_0000] {
            let hashes = hashes(mask);
            let find = |hash: u64| hashes.iter().position(|other| *other == hash).unwrap();
            let mut expected = Vec::new();
            for (a, hash) in hashes.iter().enumerate() {
                for (b, other) in hashes.iter().enumerate().skip(a + 1) {
                    let distance = (hash ^ other).count_ones();
                    let structured = has_structure(*hash) && has_structure(*other);
                    // Of equal hashes the first stands for all.
                    if structured && (1..=3).contains(&distance) && find(*hash) == a && find(*other) == b {
                        expected.push((a, b));
                    }
                }
            }
            let found = near_pairs(&hashes, 3);
            let unequal: Vec<_> = found.iter().copied().filter(|(a, b)| hashes[*a] != hashes[*b]).collect();
            assert!(expected.len() > 100);
            assert_eq!(unequal, expected, "{mask:x}");
            let repeated = |(at, hash): (usize, &u64)| find(*hash) != at && has_structure(*hash);
            let equal = hashes.iter().enumerate().filter(|row| repeated(*row)).count();
            assert_eq!(found.len() - unequal.len(), equal);
        }
        assert!(near_pairs(&[0, 0, u64::MAX, u64::MAX], 3).is_empty());
    }
}
