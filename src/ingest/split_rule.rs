//! Which split a row of a folder falls to.
use super::spec::SplitSpec;
use crate::data::Split;

/// Divides groups by a stable hash of seed and group, so that a row never changes sides when others come or go.
#[derive(Debug, Clone)]
pub struct SplitRule {
    fractions: Option<(f64, f64)>,
    seed: u64,
}

impl SplitRule {
    pub fn new(spec: Option<&SplitSpec>, seed: u64) -> Self {
        Self { fractions: spec.map(|spec| (spec.valid, spec.test)), seed }
    }

    /// The row's own split if it names one, else by its family, else by its image.
    pub fn split(&self, image: &str, split: Option<&str>, family: Option<&str>) -> Result<Split, String> {
        if let Some(name) = split.filter(|name| !name.is_empty()) {
            return Split::parse(name).ok_or_else(|| format!("unknown split `{name}`; use train, valid or test"));
        }
        let Some((valid, test)) = self.fractions else {
            return Ok(Split::Train);
        };
        let group = family.filter(|family| !family.is_empty()).unwrap_or(image);
        let position = self.position(group);
        Ok(match position {
            p if p < test => Split::Test,
            p if p < test + valid => Split::Valid,
            _ => Split::Train,
        })
    }

    /// A fraction in 0..1 that depends on seed and group alone.
    fn position(&self, group: &str) -> f64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tuwen split");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(group.as_bytes());
        let mut bytes = [0; 8];
        hasher.finalize_xof().fill(&mut bytes);
        (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_met_over_many_groups_and_a_group_keeps_its_side() {
        let rule = SplitRule::new(Some(&SplitSpec { valid: 0.1, test: 0.2 }), 7);
        let splits: Vec<Split> = (0..10_000).map(|i| rule.split(&format!("{i}"), None, None).unwrap()).collect();
        let share = |split| splits.iter().filter(|s| **s == split).count() as f64 / 10_000.0;
        assert!((share(Split::Valid) - 0.1).abs() < 0.015, "{}", share(Split::Valid));
        assert!((share(Split::Test) - 0.2).abs() < 0.015, "{}", share(Split::Test));
        assert_eq!(rule.split("a", None, Some("f")), rule.split("b", None, Some("f")));
        assert_eq!(rule.split("a", Some("dev"), Some("f")), Ok(Split::Valid));
        assert!(rule.split("a", Some("dve"), None).is_err());
    }
}
