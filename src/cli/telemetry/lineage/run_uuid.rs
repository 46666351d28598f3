//! The UUID that a run has for others: the same for the same names, so that a second try goes by the id of the first.

/// Version 8 of RFC 9562, whose bits are the program's own affair: here 122 of BLAKE3 over the names.
pub fn run_uuid(names: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("tuwen 2026-11-26 lineage run id");
    for name in names {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    let bits = u128::from_be_bytes(half) & !(0xf << 76) & !(0x3 << 62) | (0x8 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    let part = |range| digits.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_version_8_stable_and_apart() {
        let one = run_uuid(&["default", "small", "night-1", ""]);
        assert_eq!(one, run_uuid(&["default", "small", "night-1", ""]));
        assert_ne!(one, run_uuid(&["default", "small", "night-", "1"]));
        let parts: Vec<&str> = one.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('8') && "89ab".contains(&parts[3][..1]), "{one}");
    }
}
