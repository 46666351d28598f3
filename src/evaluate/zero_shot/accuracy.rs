//! How often the right class comes first, or among the first five; class by class, and what is taken for what.
use super::ZeroShotError;

/// Shares are fractions in 0..=1.
#[derive(Debug, Clone, PartialEq)]
pub struct ZeroShotScore {
    pub images: usize,
    pub top1: f64,
    /// With five classes or fewer it is 1.
    pub top5: f64,
    /// Top-1 accuracy of every class; `None` where no image is of it.
    pub per_class: Vec<Option<f64>>,
    /// Mean over the classes that have images.
    pub mean_per_class: f64,
    /// `[classes, classes]`: images of the row's class for which the column's came first.
    pub confusion: Vec<u64>,
}

/// Scores logits or probabilities `[images, classes]` against the class of every image. Of equal values the class that
/// stands first wins; `NaN` comes last.
pub fn zero_shot_score(values: &[f32], targets: &[usize], classes: usize) -> Result<ZeroShotScore, ZeroShotError> {
    if classes == 0 || targets.is_empty() {
        return Err(ZeroShotError::NoClasses);
    }
    if values.len() != targets.len() * classes {
        return Err(ZeroShotError::Shape { expected: targets.len(), found: values.len() });
    }
    let mut confusion = vec![0; classes * classes];
    let (mut first, mut among_five) = (0u64, 0u64);
    for (image, (row, target)) in values.chunks_exact(classes).zip(targets).enumerate() {
        let Some(own) = row.get(*target) else {
            return Err(ZeroShotError::ClassOutOfRange { image, class: *target, classes });
        };
        let above = |(class, value): (usize, &f32)| comes_before((*value, class), (*own, *target));
        let rank = row.iter().enumerate().filter(|entry| above(*entry)).count();
        first += u64::from(rank == 0);
        among_five += u64::from(rank < 5);
        confusion[target * classes + best(row)] += 1;
    }
    let per_class: Vec<Option<f64>> = (0..classes)
        .map(|class| {
            let row = &confusion[class * classes..][..classes];
            let images: u64 = row.iter().sum();
            (images > 0).then(|| row[class] as f64 / images as f64)
        })
        .collect();
    let seen: Vec<f64> = per_class.iter().copied().flatten().collect();
    Ok(ZeroShotScore {
        images: targets.len(),
        top1: first as f64 / targets.len() as f64,
        top5: among_five as f64 / targets.len() as f64,
        mean_per_class: seen.iter().sum::<f64>() / seen.len() as f64,
        per_class,
        confusion,
    })
}

fn best(row: &[f32]) -> usize {
    let better = |best: usize, (class, value): (usize, &f32)| {
        if comes_before((*value, class), (row[best], best)) { class } else { best }
    };
    row.iter().enumerate().fold(0, better)
}

fn comes_before(a: (f32, usize), b: (f32, usize)) -> bool {
    let value = |value: f32| if value.is_nan() { f32::NEG_INFINITY } else { value };
    value(a.0) > value(b.0) || (value(a.0) == value(b.0) && a.1 < b.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_small_table_by_hand() {
        #[rustfmt::skip]
        let values = [
            0.9, 0.1, 0.0,  0.2, 0.5, 0.3,  0.4, 0.4, 0.2,  0.1, f32::NAN, 0.2,
        ];
        let score = zero_shot_score(&values, &[0, 0, 1, 2], 3).unwrap();
        assert_eq!((score.top1, score.top5), (0.5, 1.0));
        assert_eq!(score.per_class, [Some(0.5), Some(0.0), Some(1.0)]);
        assert_eq!(score.mean_per_class, 0.5);
        assert_eq!(score.confusion, [1, 1, 0, 1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn the_sixth_of_six_is_not_among_five_and_an_unknown_class_is_refused() {
        let values = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
        assert_eq!(zero_shot_score(&values, &[4], 6).unwrap().top5, 1.0);
        assert_eq!(zero_shot_score(&values, &[5], 6).unwrap().top5, 0.0);
        assert!(zero_shot_score(&values, &[6], 6).is_err());
    }
}
