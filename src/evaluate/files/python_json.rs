//! JSON as Python's `json.loads` reads it, with its errors to the letter: the reference puts them into its results.
//! Not for our own files.

/// Deeper nesting is refused, as Python refuses it.
const MAX_DEPTH: usize = 900;
/// Python converts no longer string to an integer.
const MAX_DIGITS: usize = 4300;

/// A value; integers keep their digits.
#[derive(Debug, Clone, PartialEq)]
pub enum PyValue {
    None,
    Bool(bool),
    Int(String),
    Float(f64),
    Text(String),
    List(Vec<PyValue>),
    Dict(Vec<(String, PyValue)>),
}

impl PyValue {
    /// Name of the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Dict(_) => "dict",
        }
    }
}

/// `json.loads(text)`, or the message of its exception.
pub fn loads(text: &str) -> Result<PyValue, String> {
    let text: Vec<char> = text.chars().collect();
    if text.first() == Some(&'\u{feff}') {
        return Err(at("Unexpected UTF-8 BOM (decode using utf-8-sig)", 0));
    }
    let mut scanner = Scanner { text: &text, at: 0, depth: 0 };
    scanner.space();
    let value = scanner.value()?;
    scanner.space();
    if scanner.at == text.len() { Ok(value) } else { Err(at("Extra data", scanner.at)) }
}

/// A message with a position in one line.
pub(super) fn at(message: &str, position: usize) -> String {
    format!("{message}: line 1 column {} (char {position})", position + 1)
}

/// A text on its way through.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a [char],
    pub(super) at: usize,
    depth: usize,
}

impl Scanner<'_> {
    pub(super) fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<PyValue, String> {
        match self.peek() {
            Some('"') => self.string().map(PyValue::Text),
            Some(open @ ('{' | '[')) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    let what = if open == '{' { "object" } else { "array" };
                    return Err(format!(
                        "maximum recursion depth exceeded while decoding a JSON {what} from a unicode string"
                    ));
                }
                self.at += 1;
                let value = if open == '{' { self.object() } else { self.array() };
                self.depth -= 1;
                value
            }
            _ => self.constant().map_or_else(|| self.number(), Ok),
        }
    }

    fn constant(&mut self) -> Option<PyValue> {
        let constants = [
            ("null", PyValue::None),
            ("true", PyValue::Bool(true)),
            ("false", PyValue::Bool(false)),
            ("NaN", PyValue::Float(f64::NAN)),
            ("Infinity", PyValue::Float(f64::INFINITY)),
            ("-Infinity", PyValue::Float(f64::NEG_INFINITY)),
        ];
        let rest = &self.text[self.at..];
        let stands = |name: &str| name.chars().eq(rest.iter().copied().take(name.len()));
        let (name, value) = constants.into_iter().find(|(name, _)| stands(name))?;
        self.at += name.len();
        Some(value)
    }

    fn object(&mut self) -> Result<PyValue, String> {
        let mut entries: Vec<(String, PyValue)> = Vec::new();
        if self.empty('}') {
            return Ok(PyValue::Dict(entries));
        }
        loop {
            if self.peek() != Some('"') {
                return Err(at("Expecting property name enclosed in double quotes", self.at));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(':') {
                return Err(at("Expecting ':' delimiter", self.at));
            }
            self.at += 1;
            self.space();
            let value = self.value()?;
            // A repeated key keeps its place and takes the last value.
            match entries.iter_mut().find(|(known, _)| *known == key) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
            if self.ends('}')? {
                return Ok(PyValue::Dict(entries));
            }
        }
    }

    fn array(&mut self) -> Result<PyValue, String> {
        let mut values = Vec::new();
        if self.empty(']') {
            return Ok(PyValue::List(values));
        }
        loop {
            values.push(self.value()?);
            if self.ends(']')? {
                return Ok(PyValue::List(values));
            }
        }
    }

    /// Whether `close` follows, else passes over a comma.
    fn ends(&mut self, close: char) -> Result<bool, String> {
        self.space();
        let found = self.peek();
        if found != Some(close) && found != Some(',') {
            return Err(at("Expecting ',' delimiter", self.at));
        }
        self.at += 1;
        self.space();
        Ok(found == Some(close))
    }

    /// Passes over `close` where it stands right after what opened.
    fn empty(&mut self, close: char) -> bool {
        self.space();
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        empty
    }

    fn digits(&self, from: usize) -> usize {
        from + self.text[from.min(self.text.len())..].iter().take_while(|c| c.is_ascii_digit()).count()
    }

    fn number(&mut self) -> Result<PyValue, String> {
        let start = self.at;
        let first = start + usize::from(self.peek() == Some('-'));
        let mut end = self.digits(first);
        if end == first {
            return Err(at("Expecting value", start));
        }
        if self.text[first] == '0' {
            end = first + 1;
        }
        let mut float = false;
        if self.text.get(end) == Some(&'.') && self.digits(end + 1) > end + 1 {
            (end, float) = (self.digits(end + 1), true);
        }
        if matches!(self.text.get(end), Some('e' | 'E')) {
            let sign = usize::from(matches!(self.text.get(end + 1), Some('+' | '-')));
            let power = self.digits(end + 1 + sign);
            if power > end + 1 + sign {
                (end, float) = (power, true);
            }
        }
        let text: String = self.text[start..end].iter().collect();
        self.at = end;
        if float {
            return text.parse().map(PyValue::Float).map_err(|_| at("Expecting value", start));
        }
        if end - first > MAX_DIGITS {
            let found = end - first;
            return Err(format!(
                "Exceeds the limit ({MAX_DIGITS} digits) for integer string conversion: value has {found} digits; use sys.set_int_max_str_digits() to increase the limit"
            ));
        }
        Ok(PyValue::Int(if text == "-0" { "0".to_owned() } else { text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_refuses_is_refused_in_its_words() {
        let cases = [
            ("[1,]", "Expecting value: line 1 column 4 (char 3)"),
            ("{\"a\" 1}", "Expecting ':' delimiter: line 1 column 6 (char 5)"),
            ("{\"a\": 1,}", "Expecting property name enclosed in double quotes: line 1 column 9 (char 8)"),
            ("{a: 1}", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
            ("\"x", "Unterminated string starting at: line 1 column 1 (char 0)"),
            ("\"\\x\"", "Invalid \\escape: line 1 column 2 (char 1)"),
            ("\"\\u12\"", "Invalid \\uXXXX escape: line 1 column 3 (char 2)"),
            ("\"a\tb\"", "Invalid control character at: line 1 column 3 (char 2)"),
            ("[1 2]", "Expecting ',' delimiter: line 1 column 4 (char 3)"),
            ("1 2", "Extra data: line 1 column 3 (char 2)"),
            ("", "Expecting value: line 1 column 1 (char 0)"),
            ("-", "Expecting value: line 1 column 1 (char 0)"),
            ("01", "Extra data: line 1 column 2 (char 1)"),
            ("nul", "Expecting value: line 1 column 1 (char 0)"),
            ("\u{feff}1", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
            ("{\"a\": ", "Expecting value: line 1 column 7 (char 6)"),
        ];
        for (text, message) in cases {
            assert_eq!(loads(text).unwrap_err(), message, "{text}");
        }
        assert!(loads(&"[".repeat(100_000)).unwrap_err().starts_with("maximum recursion depth"));
    }

    #[test]
    fn what_python_takes_is_taken() {
        let PyValue::Dict(entries) =
            loads("{\"a\": [-0, NaN, 1e3], \"b\": \"\\u56fe\\ud83d\\ude00\", \"a\": 99999999999999999999}").unwrap()
        else {
            panic!()
        };
        assert_eq!(entries[0], ("a".to_owned(), PyValue::Int("99999999999999999999".to_owned())));
        assert_eq!(entries[1], ("b".to_owned(), PyValue::Text("图\u{1f600}".to_owned())));
    }
}
