//! The reference's learning-rate schedule (`scheduler.py`): linear warm-up, then half a cosine down to zero.

/// The learning rate of optimiser step `step` (from 0) of `total`.
pub fn learning_rate(step: u64, peak: f64, warmup: u64, total: u64) -> f64 {
    if step < warmup {
        return peak * (step + 1) as f64 / warmup as f64;
    }
    let progress = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
    0.5 * (1.0 + (std::f64::consts::PI * progress).cos()) * peak
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_zero() {
        let rates: Vec<f64> = (0..10).map(|step| learning_rate(step, 1e-3, 2, 10)).collect();
        assert!((rates[0] - 5e-4).abs() < 1e-12);
        assert!((rates[1] - 1e-3).abs() < 1e-12);
        assert!((rates[2] - 1e-3).abs() < 1e-12);
        assert!((rates[6] - 5e-4).abs() < 1e-12);
        assert!(rates[9] > 0.0 && rates[9] < 5e-5);
    }
}
