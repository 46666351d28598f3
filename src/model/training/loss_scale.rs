//! The factor that keeps fp16 gradients from vanishing.
use crate::model::layer::Precision;

/// 1 in other precisions than fp16.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    factor: f64,
    good_steps: u32,
    dynamic: bool,
}

impl LossScale {
    /// Good steps after which the factor is doubled.
    const GROWTH_INTERVAL: u32 = 2_000;

    /// PyTorch's `GradScaler` defaults: start at 2^16, halve on overflow, double after 2,000 good steps.
    pub fn new(precision: Precision) -> Self {
        let dynamic = precision == Precision::Fp16;
        Self { factor: if dynamic { 65_536.0 } else { 1.0 }, good_steps: 0, dynamic }
    }

    pub(super) fn factor(&self) -> f64 {
        self.factor
    }

    /// Factor and good steps, for a resume.
    pub(super) fn state(&self) -> (f64, u32) {
        (self.factor, self.good_steps)
    }

    pub(super) fn restore(&mut self, factor: f64, good_steps: u32) {
        (self.factor, self.good_steps) = (factor, good_steps);
    }

    /// Takes note of a step; says whether it may be applied.
    pub(super) fn accept(&mut self, loss: f64, gradient_norm: f64) -> bool {
        let good = loss.is_finite() && gradient_norm.is_finite();
        if !self.dynamic {
            return good;
        }
        if !good {
            self.factor *= 0.5;
            self.good_steps = 0;
            return false;
        }
        self.good_steps += 1;
        if self.good_steps == Self::GROWTH_INTERVAL {
            self.factor *= 2.0;
            self.good_steps = 0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_on_overflow_doubles_after_a_while_and_refuses_what_is_not_finite() {
        let mut scale = LossScale::new(Precision::Fp16);
        assert!(scale.accept(1.0, 1.0));
        assert!(!scale.accept(1.0, f64::INFINITY));
        assert_eq!(scale.factor(), 32_768.0);
        (0..LossScale::GROWTH_INTERVAL).for_each(|_| assert!(scale.accept(1.0, 1.0)));
        assert_eq!(scale.factor(), 65_536.0);
        let mut plain = LossScale::new(Precision::Fp32);
        assert!(plain.accept(1.0, 1.0) && !plain.accept(f64::NAN, 1.0));
        assert_eq!(plain.factor(), 1.0);
    }
}
