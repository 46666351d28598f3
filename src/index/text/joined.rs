//! Terms that were cut before the writer sees them: one string, a space between two terms.
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

/// Appends a term; terms hold no white space.
pub fn push_term(joined: &mut String, term: &str) {
    joined.push_str(term);
    joined.push(' ');
}

/// Takes such a string apart again.
#[derive(Debug, Clone, Default)]
pub struct JoinedTerms {
    token: Token,
}

pub struct JoinedTermsStream<'a> {
    rest: &'a str,
    token: &'a mut Token,
}

impl Tokenizer for JoinedTerms {
    type TokenStream<'a> = JoinedTermsStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Self::TokenStream<'a> {
        self.token.reset();
        JoinedTermsStream { rest: text, token: &mut self.token }
    }
}

impl TokenStream for JoinedTermsStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((term, rest)) = self.rest.split_once(' ') else {
            return false;
        };
        self.rest = rest;
        self.token.text.clear();
        self.token.text.push_str(term);
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_terms_come_apart_in_order() {
        let mut joined = String::new();
        ["碳纤维", "a", "表面"].into_iter().for_each(|term| push_term(&mut joined, term));
        let mut tokenizer = JoinedTerms::default();
        let mut stream = tokenizer.token_stream(&joined);
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push((token.position, token.text.clone()));
        }
        assert_eq!(found, [(0, "碳纤维".to_owned()), (1, "a".to_owned()), (2, "表面".to_owned())]);
    }
}
