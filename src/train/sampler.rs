//! The order of pairs in an epoch.
use std::collections::VecDeque;

use super::SamplerRule;
use super::pairs::{Taken, TrainingPairs};
use crate::augment::item_rng;

/// How far back a waiting pair is looked for.
const WAITING_LOOKED_AT: usize = 128;

/// Positions of the pairs in the order of an epoch, padded to whole batches by wrapping around.
pub(super) fn order(pairs: &TrainingPairs, batch_size: usize, rule: SamplerRule, seed: u64, epoch: u32) -> Vec<usize> {
    let padded = pairs.len().div_ceil(batch_size) * batch_size;
    let mut order: Vec<usize> = (0..padded).map(|index| index % pairs.len().max(1)).collect();
    item_rng(seed, u64::from(epoch), "epoch order").shuffle(&mut order);
    match rule {
        SamplerRule::Shuffled => order,
        SamplerRule::Distinct => distinct(pairs, batch_size, order),
    }
}

/// Fills batch after batch; a pair that belongs to one that is in the batch waits. What can find no place at the end is put
/// where it must.
fn distinct(pairs: &TrainingPairs, batch_size: usize, order: Vec<usize>) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::with_capacity(order.len());
    let mut waiting: VecDeque<usize> = VecDeque::new();
    let mut coming = order.into_iter();
    let mut taken = Taken::default();
    loop {
        if out.len().is_multiple_of(batch_size) {
            taken = Taken::default();
        }
        let fits = |pair: &usize| !pairs.conflicts(*pair, &taken);
        let found = waiting.iter().take(WAITING_LOOKED_AT).position(fits);
        let next = match found.and_then(|at| waiting.remove(at)) {
            Some(pair) => pair,
            None => match coming.next() {
                Some(pair) if fits(&pair) => pair,
                Some(pair) => {
                    waiting.push_back(pair);
                    continue;
                }
                None => match waiting.pop_front() {
                    Some(pair) => pair,
                    None => return out,
                },
            },
        };
        pairs.take(next, &mut taken);
        out.push(next);
    }
}

/// How many of the batches hold pairs that are false negatives of each other.
pub(super) fn conflicting_batches(pairs: &TrainingPairs, batch_size: usize, order: &[usize]) -> usize {
    let conflicts = |batch: &&[usize]| {
        let mut taken = Taken::default();
        batch.iter().any(|pair| {
            let conflicts = pairs.conflicts(*pair, &taken);
            pairs.take(*pair, &mut taken);
            conflicts
        })
    };
    order.chunks(batch_size).filter(conflicts).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Forty images with five captions each.
    fn flickr() -> TrainingPairs {
        let texts = (0..200).map(|text| format!("caption {text}")).collect();
        let images = (0..40).map(|image| format!("image {image}")).collect();
        TrainingPairs::new(texts, images, (0..200).map(|text| (text, text % 40)).collect())
    }

    #[test]
    fn every_pair_comes_once_and_distinct_batches_have_no_conflict() {
        let pairs = flickr();
        for epoch in 1..4 {
            let plain = order(&pairs, 20, SamplerRule::Shuffled, 7, epoch);
            let distinct = order(&pairs, 20, SamplerRule::Distinct, 7, epoch);
            for order in [&plain, &distinct] {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..200).collect::<Vec<_>>());
            }
            assert!(conflicting_batches(&pairs, 20, &plain) > 5);
            // A few pairs may be left for the last batches.
            assert!(conflicting_batches(&pairs, 20, &distinct) <= 1);
        }
    }

    #[test]
    fn equal_captions_belong_to_each_others_images() {
        let texts = ["一只猫", "一条狗", "一只猫"].map(str::to_owned).to_vec();
        let images = ["a", "b", "c"].map(str::to_owned).to_vec();
        let pairs = TrainingPairs::new(texts, images, vec![(0, 0), (1, 1), (2, 2)]);
        let mut taken = Taken::default();
        pairs.take(0, &mut taken);
        assert!(pairs.conflicts(2, &taken) && !pairs.conflicts(1, &taken));
        assert_eq!(pairs.positives(&[0, 1, 2]), [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    }
}
