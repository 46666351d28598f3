//! Values that Python pickled, protocols 0 to 5: numbers, strings, tuples and lists. Nothing is ever executed; an opcode that
//! could name or call anything is refused.
//!
//! Source of the opcodes: CPython's `Lib/pickletools.py`.

/// A value of plain data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PickleValue {
    None,
    Bool(bool),
    Int(i64),
    Text(String),
    /// A tuple or a list.
    Sequence(Vec<PickleValue>),
}

/// Values on the stack or in the memo; a pickle of a few ids and a text has about ten.
const MAX_VALUES: usize = 1 << 16;
/// Levels of tuples and lists.
const MAX_DEPTH: usize = 16;

/// Reads the one value of a pickle.
pub fn parse(bytes: &[u8]) -> Result<PickleValue, String> {
    Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: Vec::new(), values: 0 }.run()
}

/// Pickles a value as Python's protocol 4 does, without its memo.
pub fn write(value: &PickleValue) -> Vec<u8> {
    let mut body = Vec::new();
    write_value(value, &mut body);
    body.push(b'.');
    [&[0x80, 4, 0x95][..], &(body.len() as u64).to_le_bytes(), &body].concat()
}

fn write_value(value: &PickleValue, out: &mut Vec<u8>) {
    match value {
        PickleValue::None => out.push(b'N'),
        PickleValue::Bool(value) => out.push(if *value { 0x88 } else { 0x89 }),
        PickleValue::Int(value) => match i32::try_from(*value) {
            Ok(value) => {
                out.push(b'J');
                out.extend(value.to_le_bytes());
            }
            Err(_) => {
                out.extend([0x8a, 8]);
                out.extend(value.to_le_bytes());
            }
        },
        PickleValue::Text(text) => {
            out.push(0x8d);
            out.extend((text.len() as u64).to_le_bytes());
            out.extend(text.as_bytes());
        }
        PickleValue::Sequence(values) => {
            out.push(b'(');
            values.iter().for_each(|value| write_value(value, out));
            out.push(b't');
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<PickleValue>,
    marks: Vec<usize>,
    memo: Vec<(usize, PickleValue)>,
    /// Values ever pushed, their parts included.
    values: usize,
}

impl Machine<'_> {
    fn run(mut self) -> Result<PickleValue, String> {
        loop {
            match self.byte()? {
                0x80 => match self.byte()? {
                    0..=5 => {}
                    protocol => return Err(format!("pickle protocol {protocol}; 0 to 5 are read")),
                },
                // FRAME: its length says nothing that the opcodes do not.
                0x95 => drop(self.take(8)?),
                b'N' => self.push(PickleValue::None)?,
                0x88 => self.push(PickleValue::Bool(true))?,
                0x89 => self.push(PickleValue::Bool(false))?,
                b'J' => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.push(PickleValue::Int(value.into()))?;
                }
                b'K' => {
                    let value = self.byte()?;
                    self.push(PickleValue::Int(value.into()))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.array()?);
                    self.push(PickleValue::Int(value.into()))?;
                }
                0x8a => {
                    let length = self.byte()?.into();
                    self.long(length)?;
                }
                b'I' | b'L' => self.decimal()?,
                b'V' => self.escaped()?,
                b'X' => {
                    let length = u32::from_le_bytes(self.array()?) as usize;
                    self.text(length)?;
                }
                0x8c => {
                    let length = self.byte()?.into();
                    self.text(length)?;
                }
                0x8d => {
                    let length = u64::from_le_bytes(self.array()?);
                    self.text(usize::try_from(length).map_err(|_| cut())?)?;
                }
                b'(' => self.marks.push(self.stack.len()),
                b')' | b']' => self.push(PickleValue::Sequence(Vec::new()))?,
                b't' | b'l' => {
                    let mark = self.mark()?;
                    self.gather(mark)?;
                }
                count @ 0x85..=0x87 => {
                    let first = self.stack.len().checked_sub(usize::from(count) - 0x84).ok_or_else(cut)?;
                    self.gather(first)?;
                }
                b'a' => {
                    let first = self.stack.len().checked_sub(1).ok_or_else(cut)?;
                    self.append(first)?;
                }
                b'e' => {
                    let mark = self.mark()?;
                    self.append(mark)?;
                }
                b'q' => {
                    let slot = self.byte()?.into();
                    self.store(slot)?;
                }
                b'r' => {
                    let slot = u32::from_le_bytes(self.array()?) as usize;
                    self.store(slot)?;
                }
                b'p' => {
                    let slot = self.number()? as usize;
                    self.store(slot)?;
                }
                0x94 => self.store(self.memo.len())?,
                b'h' => {
                    let slot = self.byte()?.into();
                    self.recall(slot)?;
                }
                b'j' => {
                    let slot = u32::from_le_bytes(self.array()?) as usize;
                    self.recall(slot)?;
                }
                b'g' => {
                    let slot = self.number()? as usize;
                    self.recall(slot)?;
                }
                b'.' => return self.stack.pop().ok_or_else(cut),
                other => {
                    return Err(format!("pickle opcode 0x{other:02x} is not plain data and was not executed"));
                }
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).ok_or_else(cut)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(cut)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| cut())
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]| byte)
    }

    fn line(&mut self) -> Result<&str, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).ok_or_else(cut)?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|_| "pickle holds text that is not UTF-8".to_owned())
    }

    fn number(&mut self) -> Result<i64, String> {
        self.line()?.trim_end_matches('L').parse().map_err(|_| "pickle holds a number that is none".to_owned())
    }

    /// `I01` and `I00` are how protocol 0 writes truth values.
    fn decimal(&mut self) -> Result<(), String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let truth = [(&b"01\n"[..], true), (&b"00\n"[..], false)].into_iter().find(|(text, _)| rest.starts_with(text));
        match truth {
            Some((text, value)) => {
                self.at += text.len();
                self.push(PickleValue::Bool(value))
            }
            None => {
                let value = self.number()?;
                self.push(PickleValue::Int(value))
            }
        }
    }

    /// Little-endian two's complement of up to eight bytes.
    fn long(&mut self, length: usize) -> Result<(), String> {
        if length > 8 {
            return Err("pickle holds an integer beyond 64 bits".to_owned());
        }
        let bytes = self.take(length)?;
        let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        let mut value = [fill; 8];
        value[..length].copy_from_slice(bytes);
        self.push(PickleValue::Int(i64::from_le_bytes(value)))
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.take(length)?.to_vec();
        let text = String::from_utf8(bytes).map_err(|_| "pickle holds text that is not UTF-8".to_owned())?;
        self.push(PickleValue::Text(text))
    }

    /// Protocol 0: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
    fn escaped(&mut self) -> Result<(), String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest).ok_or_else(cut)?;
        let line: Vec<char> = self.take(length + 1)?[..length].iter().map(|byte| char::from(*byte)).collect();
        let mut text = String::new();
        let mut at = 0;
        while let Some(character) = line.get(at) {
            let digits = match (character, line.get(at + 1)) {
                ('\\', Some('u')) => 4,
                ('\\', Some('U')) => 8,
                _ => 0,
            };
            if digits == 0 {
                text.push(*character);
                at += 1;
                continue;
            }
            let code: String = line.get(at + 2..at + 2 + digits).ok_or_else(cut)?.iter().collect();
            let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
            text.push(code.ok_or_else(|| "pickle holds a character that is none".to_owned())?);
            at += 2 + digits;
        }
        self.push(PickleValue::Text(text))
    }

    fn push(&mut self, value: PickleValue) -> Result<(), String> {
        self.values += size(&value, MAX_DEPTH)?;
        if self.values > MAX_VALUES {
            return Err("pickle holds more values than any record of ids and a text".to_owned());
        }
        self.stack.push(value);
        Ok(())
    }

    fn mark(&mut self) -> Result<usize, String> {
        self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or_else(cut)
    }

    fn gather(&mut self, first: usize) -> Result<(), String> {
        let values = self.stack.split_off(first);
        self.push(PickleValue::Sequence(values))
    }

    fn append(&mut self, first: usize) -> Result<(), String> {
        let values = self.stack.split_off(first);
        match self.stack.pop() {
            Some(PickleValue::Sequence(mut list)) => {
                list.extend(values);
                self.push(PickleValue::Sequence(list))
            }
            _ => Err("pickle appends to what is no list".to_owned()),
        }
    }

    fn store(&mut self, slot: usize) -> Result<(), String> {
        let value = self.stack.last().cloned().ok_or_else(cut)?;
        self.values += size(&value, MAX_DEPTH)?;
        if self.memo.len() > MAX_VALUES || self.values > MAX_VALUES {
            return Err("pickle remembers more values than any record of ids and a text".to_owned());
        }
        self.memo.push((slot, value));
        Ok(())
    }

    fn recall(&mut self, slot: usize) -> Result<(), String> {
        let found = self.memo.iter().rev().find(|(known, _)| *known == slot);
        let value = found.map(|(_, value)| value.clone());
        self.push(value.ok_or_else(|| "pickle recalls what it never stored".to_owned())?)
    }
}

/// Values in a value; an error below `depth` levels.
fn size(value: &PickleValue, depth: usize) -> Result<usize, String> {
    match value {
        PickleValue::Sequence(_) if depth == 0 => Err("pickle is nested too deeply".to_owned()),
        PickleValue::Sequence(values) => values.iter().try_fold(1, |sum, value| Ok(sum + size(value, depth - 1)?)),
        _ => Ok(1),
    }
}

fn cut() -> String {
    "pickle is cut off or damaged".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> PickleValue {
        let text = PickleValue::Text("高级感托特包".to_owned());
        PickleValue::Sequence(vec![PickleValue::Int(1_076_345), PickleValue::Int(8428), text])
    }

    #[test]
    fn the_same_record_is_read_from_every_protocol() {
        // pickle.dumps((1076345, 8428, '高级感托特包'), protocol)
        let text = "高级感托特包".as_bytes();
        let head = b"J\x79\x6c\x10\x00M\xec\x20";
        let two = [b"\x80\x02", &head[..], b"X\x12\x00\x00\x00", text, b"q\x00\x87q\x01."].concat();
        let four = [b"\x80\x04\x95\x20\0\0\0\0\0\0\0", &head[..], b"\x8c\x12", text, b"\x94\x87\x94."].concat();
        let zero = b"(I1076345\nI8428\nV\\u9ad8\\u7ea7\\u611f\\u6258\\u7279\\u5305\np0\ntp1\n.".to_vec();
        for bytes in [zero, two, four] {
            assert_eq!(parse(&bytes), Ok(record()));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = PickleValue::Text("碳".repeat(300));
        for value in [record(), PickleValue::Sequence(vec![PickleValue::Int(-(1 << 40)), long, PickleValue::None])] {
            assert_eq!(parse(&write(&value)), Ok(value));
        }
    }

    #[test]
    fn nothing_that_could_run_is_read() {
        let system = parse(b"cos\nsystem\n(S'touch x'\ntR.").unwrap_err();
        assert!(system.contains("not executed"), "{system}");
        assert!(parse(b"\x80\x04\x8c\x02os\x8c\x06system\x93.").unwrap_err().contains("0x93"));
    }

    #[test]
    fn damage_and_bombs_are_errors() {
        assert!(parse(b"").is_err());
        assert!(parse(b"\x80\x04J\x01").is_err());
        assert!(parse(b"X\xff\xff\xff\xffa.").is_err());
        // A list that holds itself twice over, again and again.
        let bomb = [b"]".to_vec(), b"q\x00h\x00h\x00\x86".repeat(40), b".".to_vec()].concat();
        assert!(parse(&bomb).is_err());
        let deep = [b")".to_vec(), b"\x85".repeat(100_000), b".".to_vec()].concat();
        assert!(parse(&deep).is_err());
    }
}
