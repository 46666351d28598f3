//! Strings of JSON as Python's `json.loads` reads them.
use super::python_json::{Scanner, at};

impl Scanner<'_> {
    /// A string; half of a surrogate pair alone becomes U+FFFD, which Rust needs and Python does not.
    pub(super) fn string(&mut self) -> Result<String, String> {
        let begin = self.at;
        let unterminated = || at("Unterminated string starting at", begin);
        let mut out = String::new();
        self.at += 1;
        loop {
            let next = self.peek().ok_or_else(unterminated)?;
            let position = self.at;
            self.at += 1;
            match next {
                '"' => return Ok(out),
                '\\' => {
                    let escape = self.peek().ok_or_else(unterminated)?;
                    self.at += 1;
                    out.push(match escape {
                        '"' | '\\' | '/' => escape,
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'u' => self.code_point()?,
                        _ => return Err(at("Invalid \\escape", position)),
                    });
                }
                '\0'..='\u{1f}' => return Err(at("Invalid control character at", position)),
                plain => out.push(plain),
            }
        }
    }

    /// What follows `\u`.
    fn code_point(&mut self) -> Result<char, String> {
        let high = self.hex()?;
        let pair = self.text.get(self.at..self.at + 2) == Some(&['\\', 'u']) && self.at + 6 < self.text.len();
        if !(0xD800..0xDC00).contains(&high) || !pair {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        self.at += 2;
        let low = self.hex()?;
        if (0xDC00..0xE000).contains(&low) {
            let joined = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            return Ok(char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.at = before;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn hex(&mut self) -> Result<u32, String> {
        let wrong = at("Invalid \\uXXXX escape", self.at - 1);
        let digits = self.text.get(self.at..self.at + 4).filter(|_| self.at + 4 < self.text.len()).ok_or(&wrong)?;
        let mut value = 0;
        for digit in digits {
            value = 16 * value + digit.to_digit(16).ok_or(&wrong)?;
        }
        self.at += 4;
        Ok(value)
    }
}
