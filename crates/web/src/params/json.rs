//! A strict JSON reader (RFC 8259) that keeps number literals as sent.
//!
//! General parsers turn `1e3` and `1.0` into numbers, keep the last of two equal names and accept
//! lone surrogates in some modes; for amounts of money each of these is a way for two systems to read
//! one request differently.

use std::collections::HashSet;

use super::{MAX_JSON_DEPTH, MAX_JSON_NODES, ParamError, Value, codes, names};

pub(super) fn parse(body: &[u8]) -> Result<Vec<(String, Value)>, ParamError> {
    if body.starts_with(b"\xEF\xBB\xBF") || body.starts_with(b"\xFF\xFE") || body.starts_with(b"\xFE\xFF") {
        return Err(bad("The JSON body starts with a byte order mark. Send plain UTF-8 without one."));
    }
    let text = std::str::from_utf8(body)
        .map_err(|e| bad(format!("The JSON body is not UTF-8 (at byte {}).", e.valid_up_to())))?;
    let mut json = Json { text, at: 0, nodes: 0 };
    json.space();
    if json.peek() != Some(b'{') {
        return Err(bad("The JSON body must be an object, such as {\"amount\": 1000}."));
    }
    let entries = json.object(1, &Path::Root)?;
    json.space();
    match json.peek() {
        None => Ok(entries),
        Some(_) => Err(json.fault("has something after the end of the object")),
    }
}

fn bad(message: impl Into<String>) -> ParamError {
    ParamError::general(codes::BODY_INVALID, message)
}

/// Where the reader is, on the stack: turned into a form name only when an error needs it.
enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl Path<'_> {
    fn name(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Key(parent, key) => names::join(&parent.name(), key),
            Path::Index(parent, index) => names::join(&parent.name(), &index.to_string()),
        }
    }
}

/// Invariant: `at` is a character boundary of `text`, because every step passes whole ASCII
/// characters or whole runs between them.
struct Json<'t> {
    text: &'t str,
    at: usize,
    nodes: usize,
}

impl<'t> Json<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        self.at += run(self.rest(), |b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    }

    /// Passes `expected` if it is next.
    fn eat(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    fn fault(&self, what: &str) -> ParamError {
        bad(format!("The body is not valid JSON: it {what} (at byte {}).", self.at))
    }

    /// An error for what stands where `wanted` should.
    fn expected(&self, wanted: &str) -> ParamError {
        match self.peek() {
            None => self.fault(&format!("ends where {wanted} was expected")),
            Some(_) => self.fault(&format!("lacks {wanted}")),
        }
    }

    fn value(&mut self, depth: usize, path: &Path<'_>) -> Result<Value, ParamError> {
        self.nodes += 1;
        if self.nodes > MAX_JSON_NODES {
            let message = format!("The JSON body has more than {MAX_JSON_NODES} values. Send fewer.");
            return Err(ParamError::general(codes::TOO_COMPLEX, message));
        }
        match self.peek() {
            Some(b'{') => self.object(depth + 1, path).map(Value::Map),
            Some(b'[') => self.array(depth + 1, path).map(Value::List),
            Some(b'"') => self.string().map(Value::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'n') => self.word("null", Value::Null),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            _ => Err(self.expected("a value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ParamError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Bounds the recursion, and with it the stack.
    fn check_depth(&self, depth: usize) -> Result<(), ParamError> {
        if depth <= MAX_JSON_DEPTH {
            return Ok(());
        }
        let message = format!("The JSON body is nested more than {MAX_JSON_DEPTH} levels deep.");
        Err(ParamError::general(codes::TOO_COMPLEX, message))
    }

    /// An object, from its `{`.
    fn object(&mut self, depth: usize, path: &Path<'_>) -> Result<Vec<(String, Value)>, ParamError> {
        self.check_depth(depth)?;
        self.at += 1;
        let mut entries = Vec::new();
        self.space();
        if self.eat(b'}') {
            return Ok(entries);
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a name in double quotes"));
            }
            let key = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.expected("a colon after a name"));
            }
            self.space();
            let value = self.value(depth, &Path::Key(path, &key))?;
            entries.push((key, value));
            self.space();
            if self.eat(b'}') {
                break;
            }
            if !self.eat(b',') {
                return Err(self.expected("a comma or } in an object"));
            }
        }
        refuse_duplicates(&entries, path)?;
        Ok(entries)
    }

    /// An array, from its `[`.
    fn array(&mut self, depth: usize, path: &Path<'_>) -> Result<Vec<Value>, ParamError> {
        self.check_depth(depth)?;
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(items);
        }
        loop {
            self.space();
            items.push(self.value(depth, &Path::Index(path, items.len()))?);
            self.space();
            if self.eat(b']') {
                return Ok(items);
            }
            if !self.eat(b',') {
                return Err(self.expected("a comma or ] in an array"));
            }
        }
    }

    /// A number as its literal: `-? (0 | [1-9][0-9]*) (\.[0-9]+)? ([eE][+-]?[0-9]+)?`.
    fn number(&mut self) -> Result<String, ParamError> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        if self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'_')) {
            return Err(self.fault("has a malformed number"));
        }
        Ok(self.text.get(start..self.at).unwrap_or_default().to_owned())
    }

    fn digits(&mut self) -> Result<(), ParamError> {
        match run(self.rest(), |b| b.is_ascii_digit()) {
            0 => Err(self.fault("has a malformed number")),
            count => {
                self.at += count;
                Ok(())
            }
        }
    }

    /// A string, from its opening quote.
    fn string(&mut self) -> Result<String, ParamError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = run(self.rest(), |b| !matches!(b, b'"' | b'\\' | 0..=0x1F));
            out.push_str(self.text.get(self.at..self.at + plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => {
                    return Err(self.fault("has a raw control character in a string; write it as \\u00XX"));
                }
                None => return Err(self.fault("ends inside a string")),
            }
        }
    }

    /// One escape sequence, from its backslash.
    fn escape(&mut self) -> Result<char, ParamError> {
        let kind = self.rest().get(1).copied();
        let plain = match kind {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.fault("has an unknown escape in a string")),
        };
        self.at += 2;
        Ok(plain)
    }

    /// `\uXXXX`, or a surrogate pair of two of them.
    fn unicode_escape(&mut self) -> Result<char, ParamError> {
        let first = self.code_unit()?;
        let high = matches!(first, 0xD800..=0xDBFF);
        let second = if high && self.rest().starts_with(b"\\u") { Some(self.code_unit()?) } else { None };
        match char::decode_utf16(std::iter::once(first).chain(second)).next() {
            Some(Ok('\0')) => Err(self.fault("has a NUL character in a string, which is not allowed")),
            Some(Ok(c)) => Ok(c),
            _ => Err(self.fault("has half of a surrogate pair in a string")),
        }
    }

    fn code_unit(&mut self) -> Result<u16, ParamError> {
        let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(self.fault("has a \\u that is not followed by four hexadecimal digits"));
        }
        self.at += 6;
        u16::from_str_radix(digits, 16).map_err(|_| self.fault("has a malformed \\u"))
    }
}

/// How many leading bytes satisfy `keep`.
fn run(bytes: &[u8], keep: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|b| !keep(*b)).unwrap_or(bytes.len())
}

fn refuse_duplicates(entries: &[(String, Value)], path: &Path<'_>) -> Result<(), ParamError> {
    let mut seen = HashSet::with_capacity(entries.len());
    match entries.iter().find(|(key, _)| !seen.insert(key.as_str())) {
        None => Ok(()),
        Some((key, _)) => {
            let name = Path::Key(path, key).name();
            let message = format!("{} is given more than once. Send it once.", names::show(&name));
            Err(ParamError::of(codes::DUPLICATE, &name, message))
        }
    }
}
