//! What nobody but its receiver may read: a value that cannot be printed, and the words that no message may hold.
use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

/// Shorter values would blot out parts of ordinary words.
const SHORTEST: usize = 8;

static WORDS: OnceLock<Vec<String>> = OnceLock::new();

/// A key, token or password. It prints as `***` and has no way into a serialised form.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the request that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Says once, at the start of the program, which values no message may hold. A server's answer can repeat what it was sent, and a
/// library can log it, so a type alone does not keep them in.
pub fn conceal_always(secrets: impl IntoIterator<Item = Secret>) {
    let mut words: Vec<String> =
        secrets.into_iter().map(|secret| secret.0).filter(|word| word.len() >= SHORTEST).collect();
    // A longer one may hold a shorter one.
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words.dedup();
    let _ = WORDS.set(words);
}

/// The text with `***` where a secret stood.
pub fn conceal(text: &str) -> Cow<'_, str> {
    replace_words(text, WORDS.get().map_or(&[], Vec::as_slice))
}

fn replace_words<'a>(text: &'a str, words: &[String]) -> Cow<'a, str> {
    let mut shown = Cow::Borrowed(text);
    for word in words {
        if shown.contains(word.as_str()) {
            shown = Cow::Owned(shown.replace(word.as_str(), "***"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_stars_in_every_way() {
        let secret = Secret::new("correct-horse");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "correct-horse");
    }

    #[test]
    fn every_occurrence_goes_and_the_rest_stays() {
        let words = ["correct-horse-battery".to_owned(), "correct-horse".to_owned()];
        assert_eq!(replace_words("a correct-horse, correct-horse-battery.", &words), "a ***, ***.");
        assert!(matches!(replace_words("nothing", &words), Cow::Borrowed("nothing")));
    }
}
