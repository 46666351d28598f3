//! Pairs of near-equal hashes without comparing every pair: hashes that differ in at most three bits agree in one of four
//! quarters (the pigeonhole principle), so only hashes that share a quarter are compared.
use rayon::prelude::*;

const QUARTERS: u32 = 4;
const QUARTER_BITS: u32 = 16;

/// Positions `(a, b)`, `a < b`, of hashes that differ in at most `bits` bits, at most three; sorted. Equal hashes make a
/// chain, not every pair. A hash without a structure (all rows flat) is no evidence and has no pairs.
pub fn near_pairs(hashes: &[u64], bits: u32) -> Vec<(usize, usize)> {
    let bits = bits.min(QUARTERS - 1);
    let mut order: Vec<usize> = (0..hashes.len()).filter(|at| has_structure(hashes[*at])).collect();
    order.sort_by_key(|at| (hashes[*at], *at));
    let mut pairs: Vec<(usize, usize)> =
        order.windows(2).filter(|two| hashes[two[0]] == hashes[two[1]]).map(|two| (two[0], two[1])).collect();
    // One position for each different hash.
    order.dedup_by_key(|at| hashes[*at]);
    let near: Vec<(usize, usize)> = (0..QUARTERS)
        .into_par_iter()
        .flat_map_iter(|quarter| {
            let part = |at: usize| (hashes[at] >> (QUARTER_BITS * quarter)) as u16;
            let mut sorted = order.clone();
            sorted.sort_by_key(|at| part(*at));
            let buckets: Vec<Vec<usize>> =
                sorted.chunk_by(|a, b| part(*a) == part(*b)).map(<[usize]>::to_vec).collect();
            buckets.into_iter().flat_map(move |bucket| near_in_bucket(&bucket, hashes, bits, quarter))
        })
        .collect();
    pairs.extend(near);
    pairs.sort_unstable();
    pairs
}

/// A pair that shares several quarters is found in the first of them only.
fn near_in_bucket(bucket: &[usize], hashes: &[u64], bits: u32, quarter: u32) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (at, a) in bucket.iter().enumerate() {
        for b in &bucket[at + 1..] {
            let difference = hashes[*a] ^ hashes[*b];
            let before = difference & ((1u64 << (QUARTER_BITS * quarter)) - 1);
            let first = (0..quarter).all(|earlier| (before >> (QUARTER_BITS * earlier)) as u16 != 0);
            if difference.count_ones() <= bits && first {
                pairs.push((*a.min(b), *a.max(b)));
            }
        }
    }
    pairs
}

/// A flat picture has no falling step anywhere, and one that only darkens has nothing else.
fn has_structure(hash: u64) -> bool {
    (4..=60).contains(&hash.count_ones())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_pairs_as_comparing_all() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 11 ^ state << 23
        };
        let mut hashes: Vec<u64> = (0..400).map(|_| next()).collect();
        for at in 0..300 {
            let flips = next() % 6;
            let near = (0..flips).fold(hashes[at], |hash, _| hash ^ 1 << (next() % 64));
            hashes.push(near);
        }
        let find = |hash: u64| hashes.iter().position(|other| *other == hash).unwrap();
        let mut expected = Vec::new();
        for (a, hash) in hashes.iter().enumerate() {
            for (b, other) in hashes.iter().enumerate().skip(a + 1) {
                let distance = (hash ^ other).count_ones();
                // Of equal hashes the first stands for all.
                if (1..=3).contains(&distance) && find(*hash) == a && find(*other) == b {
                    expected.push((a, b));
                }
            }
        }
        let found = near_pairs(&hashes, 3);
        let unequal: Vec<_> = found.iter().copied().filter(|(a, b)| hashes[*a] != hashes[*b]).collect();
        assert!(expected.len() > 100);
        assert_eq!(unequal, expected);
        let equal = hashes.iter().enumerate().filter(|(at, hash)| find(**hash) != *at).count();
        assert_eq!(found.len() - unequal.len(), equal);
        assert!(near_pairs(&[0, 0, u64::MAX, u64::MAX], 3).is_empty());
    }
}
