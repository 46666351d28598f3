//! Which split an image falls to that names none itself.
use super::groups::Groups;
use super::spec::SplitSpec;
use crate::data::Split;

/// Divides groups by a stable hash of seed and group, so that a row never changes sides when others come or go.
#[derive(Debug)]
pub struct SplitRule {
    fractions: Option<(f64, f64)>,
    groups: Groups,
    seed: u64,
}

impl SplitRule {
    pub fn new(spec: Option<&SplitSpec>, groups: Groups, seed: u64) -> Self {
        Self { fractions: spec.map(|spec| (spec.valid, spec.test)), groups, seed }
    }

    /// By the image's group, which is its family or itself where groups were not looked for.
    pub fn of(&self, image: &str, family: Option<&str>) -> Split {
        let Some((valid, test)) = self.fractions else {
            return Split::Train;
        };
        match self.position(self.groups.name(image).unwrap_or(family.unwrap_or(image))) {
            p if p < test => Split::Test,
            p if p < test + valid => Split::Valid,
            _ => Split::Train,
        }
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
        let spec = SplitSpec { valid: 0.1, test: 0.2, group_by: Vec::new() };
        let rule = SplitRule::new(Some(&spec), Groups::default(), 7);
        let splits: Vec<Split> = (0..10_000).map(|i| rule.of(&format!("{i}"), None)).collect();
        let share = |split| splits.iter().filter(|s| **s == split).count() as f64 / 10_000.0;
        assert!((share(Split::Valid) - 0.1).abs() < 0.015, "{}", share(Split::Valid));
        assert!((share(Split::Test) - 0.2).abs() < 0.015, "{}", share(Split::Test));
        assert_eq!(rule.of("a", Some("f")), rule.of("b", Some("f")));
        assert_eq!(SplitRule::new(None, Groups::default(), 7).of("a", None), Split::Train);
    }
}
