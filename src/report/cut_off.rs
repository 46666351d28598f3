//! The similarity below which a query has no match.
use serde::Serialize;

/// A threshold and how well it separates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CutOff {
    /// A score of at least this much is a match.
    pub threshold: f32,
    /// Of the scores at or above the threshold, the share that are matches.
    pub precision: f64,
    /// Of the matches, the share at or above the threshold.
    pub recall: f64,
    /// Mean of the recall and of the share of non-matches below the threshold.
    pub balanced_accuracy: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
}

/// The threshold of greatest balanced accuracy between the scores of matches and, per query, of the best non-match. Balanced
/// accuracy does not depend on how many of each there are, as F1 does. Of equal thresholds the greatest; half way to the next
/// lower score, so that rounding moves nothing across. Nothing without both kinds, or where a score is not finite.
pub fn calibrate(positives: &[f32], best_negatives: &[f32]) -> Option<CutOff> {
    if positives.is_empty() || best_negatives.is_empty() {
        return None;
    }
    let labelled =
        positives.iter().map(|score| (*score, true)).chain(best_negatives.iter().map(|score| (*score, false)));
    let mut scores: Vec<(f32, bool)> = labelled.collect();
    if scores.iter().any(|(score, _)| !score.is_finite()) {
        return None;
    }
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hits, mut alarms) = (0usize, 0usize);
    let mut best: Option<CutOff> = None;
    for (at, (score, matching)) in scores.iter().enumerate() {
        *if *matching { &mut hits } else { &mut alarms } += 1;
        let next = scores.get(at + 1).map(|(next, _)| *next);
        if next == Some(*score) {
            continue;
        }
        let threshold = next.map_or(*score, |next| between(next, *score));
        let cut_off = measured(threshold, (hits, positives.len()), (alarms, best_negatives.len()));
        if best.is_none_or(|best| cut_off.balanced_accuracy > best.balanced_accuracy) {
            best = Some(cut_off);
        }
    }
    best
}

/// Above `low` and at most `high`, which are neighbours among the scores.
fn between(low: f32, high: f32) -> f32 {
    let middle = f32::midpoint(low, high);
    if middle > low { middle } else { high }
}

fn measured(threshold: f32, (hits, matches): (usize, usize), (alarms, others): (usize, usize)) -> CutOff {
    let recall = hits as f64 / matches as f64;
    let precision = hits as f64 / (hits + alarms) as f64;
    let quiet = 1.0 - alarms as f64 / others as f64;
    let sum = precision + recall;
    let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
    CutOff { threshold, precision, recall, balanced_accuracy: f64::midpoint(recall, quiet), f1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_separate_are_cut_half_way() {
        let cut_off = calibrate(&[0.5, 0.7, 0.9], &[0.1, 0.3]).unwrap();
        assert!((cut_off.threshold - 0.4).abs() < 1e-6);
        assert_eq!((cut_off.precision, cut_off.recall, cut_off.balanced_accuracy, cut_off.f1), (1.0, 1.0, 1.0, 1.0));
    }

    #[test]
    fn no_other_threshold_is_better() {
        let mut state = 3u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as f32 / 4096.0
        };
        let positives: Vec<f32> = (0..70).map(|_| 0.2 + draw()).collect();
        let negatives: Vec<f32> = (0..40).map(|_| draw()).collect();
        let found = calibrate(&positives, &negatives).unwrap();
        let accuracy = |threshold: f32| {
            let hits = positives.iter().filter(|score| **score >= threshold).count() as f64 / 70.0;
            let quiet = negatives.iter().filter(|score| **score < threshold).count() as f64 / 40.0;
            f64::midpoint(hits, quiet)
        };
        assert!((accuracy(found.threshold) - found.balanced_accuracy).abs() < 1e-12);
        for threshold in positives.iter().chain(&negatives) {
            assert!(accuracy(*threshold) <= found.balanced_accuracy + 1e-12);
        }
    }

    #[test]
    fn a_threshold_never_splits_equal_scores() {
        let cut_off = calibrate(&[0.5, 0.5, 0.2], &[0.5, 0.2, 0.2]).unwrap();
        assert!((cut_off.threshold - 0.35).abs() < 1e-6);
        assert!((cut_off.precision - 2.0 / 3.0).abs() < 1e-12 && (cut_off.recall - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn without_both_kinds_or_with_a_nan_there_is_no_threshold() {
        assert!(calibrate(&[], &[0.1]).is_none() && calibrate(&[0.1], &[]).is_none());
        assert!(calibrate(&[f32::NAN], &[0.1]).is_none());
    }
}
