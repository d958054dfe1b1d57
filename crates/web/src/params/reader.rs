//! Typed access to parameters, and the refusal of those that nobody asked for.

use super::{ParamError, Value, codes, names};

/// The last second of the year 9999.
const TIMESTAMP_MAX: i64 = 253_402_300_799;

/// Takes parameters one by one and remembers their names, so that [`Reader::finish`] can refuse the
/// rest: a mistyped optional parameter of a payment must not be silently ignored.
///
/// Absent parameters and JSON `null` are `None`, unless said otherwise. A reader got from
/// [`Reader::object`] or [`Reader::objects`] has to be finished on its own.
#[must_use = "parameters nobody reads are only refused by finish()"]
pub struct Reader<'a> {
    entries: &'a [(String, Value)],
    /// The form name of this object; empty at the top.
    parent: String,
    taken: Vec<String>,
}

/// A parameter of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch<T> {
    /// Not sent: stays as it is.
    Absent,
    /// Sent as `null` or the empty string: to be removed.
    Unset,
    Set(T),
}

impl<T> Patch<T> {
    /// Applies this to the stored value.
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Patch::Absent => {}
            Patch::Unset => *field = None,
            Patch::Set(value) => *field = Some(value),
        }
    }

    pub(super) fn of(sent: bool, value: Option<T>) -> Patch<T> {
        match value {
            Some(value) => Patch::Set(value),
            None if sent => Patch::Unset,
            None => Patch::Absent,
        }
    }
}

/// Which hygiene of `domain::text` a text must pass.
#[derive(Clone, Copy)]
pub(super) enum Lines {
    Single,
    Multiple,
}

impl<'a> Reader<'a> {
    pub(super) fn root(entries: &'a [(String, Value)]) -> Reader<'a> {
        Reader { entries, parent: String::new(), taken: Vec::new() }
    }

    pub(super) fn nested(entries: &'a [(String, Value)], parent: String) -> Reader<'a> {
        Reader { entries, parent, taken: Vec::new() }
    }

    /// The full form name of `name` in this object: `card[number]`.
    pub fn name_of(&self, name: &str) -> String {
        names::join(&self.parent, name)
    }

    /// An error that blames `name`, for rules this module does not know.
    pub fn invalid(&self, name: &str, code: &'static str, message: impl Into<String>) -> ParamError {
        ParamError::of(code, &self.name_of(name), message)
    }

    /// The error for a parameter that has to be there.
    pub fn missing(&self, name: &str) -> ParamError {
        let shown = names::show(&self.name_of(name));
        self.invalid(name, codes::MISSING, format!("Missing required parameter: {shown}."))
    }

    /// Whether `name` is there with something other than `null`. Does not count as reading it.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| *value != Value::Null)
    }

    /// Whether `name` is there at all, be it as `null`. Does not count as reading it.
    pub fn was_sent(&self, name: &str) -> bool {
        self.sent(name)
    }

    /// Accepts `name` without an effect.
    pub fn ignore(&mut self, name: &str) {
        // By this the tests of the Admin API compare what is read with what its documents describe.
        tracing::trace!(target: "web::params", name = %self.name_of(name), "read");
        self.taken.push(name.to_owned());
    }

    pub(super) fn find(&self, name: &str) -> Option<&'a Value> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The value of `name` as it was sent, for rules that this module does not know; `null` is as good as absent.
    pub fn value(&mut self, name: &str) -> Option<&'a Value> {
        self.take(name)
    }

    /// The value of `name`, which counts as read from now on; `null` is as good as absent.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a Value> {
        self.ignore(name);
        self.find(name).filter(|value| **value != Value::Null)
    }

    /// Whether `name` was sent at all, be it as `null`.
    pub(super) fn sent(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// A single-line text of up to `max_chars`; the empty string is `None`.
    ///
    /// # Errors
    /// Not a string, only spaces, or refused by `domain::text::single_line`.
    pub fn text(&mut self, name: &str, max_chars: usize) -> Result<Option<String>, ParamError> {
        self.clean_text(name, max_chars, Lines::Single)
    }

    /// As [`Reader::text`], with line breaks allowed (`domain::text::multi_line`).
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn multiline(&mut self, name: &str, max_chars: usize) -> Result<Option<String>, ParamError> {
        self.clean_text(name, max_chars, Lines::Multiple)
    }

    /// A single-line text that has to be there.
    ///
    /// # Errors
    /// As [`Reader::text`]; `parameter_missing` when absent, `parameter_invalid_empty` when empty.
    pub fn required_text(&mut self, name: &str, max_chars: usize) -> Result<String, ParamError> {
        match self.text(name, max_chars)? {
            Some(text) => Ok(text),
            None if self.has(name) => Err(self.empty(name)),
            None => Err(self.missing(name)),
        }
    }

    /// A text in an update.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn patch_text(&mut self, name: &str, max_chars: usize) -> Result<Patch<String>, ParamError> {
        Ok(Patch::of(self.sent(name), self.text(name, max_chars)?))
    }

    /// A text with line breaks in an update.
    ///
    /// # Errors
    /// As [`Reader::text`].
    pub fn patch_multiline(&mut self, name: &str, max_chars: usize) -> Result<Patch<String>, ParamError> {
        Ok(Patch::of(self.sent(name), self.multiline(name, max_chars)?))
    }

    /// A secret or a card number as sent, up to `max_bytes`; the empty string is `None`. Its value is
    /// never part of an error. (NUL cannot occur: the parsers refuse it.)
    ///
    /// # Errors
    /// Not a string, or too long.
    pub fn raw_text(&mut self, name: &str, max_bytes: usize) -> Result<Option<&'a str>, ParamError> {
        let Some(text) = self.string(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        if text.len() > max_bytes {
            let message = format!("{} is longer than {max_bytes} bytes.", names::show(&self.name_of(name)));
            return Err(self.invalid(name, codes::INVALID_STRING, message));
        }
        Ok(Some(text))
    }

    fn string(&mut self, name: &str) -> Result<Option<&'a str>, ParamError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.not_a_string(name, other)),
        }
    }

    pub(super) fn not_a_string(&self, name: &str, value: &Value) -> ParamError {
        let message = format!("{} must be a string, not {}.", names::show(&self.name_of(name)), kind(value));
        self.invalid(name, codes::INVALID_STRING, message)
    }

    fn clean_text(
        &mut self,
        name: &str,
        max_chars: usize,
        lines: Lines,
    ) -> Result<Option<String>, ParamError> {
        match self.string(name)? {
            None | Some("") => Ok(None),
            Some(text) => self.clean(name, text, max_chars, lines).map(Some),
        }
    }

    pub(super) fn clean(
        &self,
        name: &str,
        text: &str,
        max_chars: usize,
        lines: Lines,
    ) -> Result<String, ParamError> {
        let shown = names::show(&self.name_of(name));
        if text.chars().all(char::is_whitespace) {
            let message = format!("{shown} has only spaces. Send some text, or leave it out.");
            return Err(self.invalid(name, codes::INVALID_STRING_BLANK, message));
        }
        let checked = match lines {
            Lines::Single => domain::text::single_line(text, max_chars),
            Lines::Multiple => domain::text::multi_line(text, max_chars),
        };
        match checked {
            Ok(()) => Ok(text.to_owned()),
            Err(refusal) => Err(self.invalid(name, codes::INVALID_STRING, format!("{shown} {refusal}."))),
        }
    }

    pub(super) fn empty(&self, name: &str) -> ParamError {
        let shown = names::show(&self.name_of(name));
        let message =
            format!("{shown} is an empty string, but cannot be unset. Send a value, or leave it out.");
        self.invalid(name, codes::INVALID_EMPTY, message)
    }

    /// An integer from `min` to `max`, from a form, a JSON number or a JSON string of digits.
    ///
    /// # Errors
    /// Anything but plain decimal digits (no fraction, exponent, plus sign, space or leading zero), or
    /// out of range: `parameter_invalid_integer`. The empty string: `parameter_invalid_empty`.
    pub fn integer(&mut self, name: &str, min: i64, max: i64) -> Result<Option<i64>, ParamError> {
        let literal = match self.take(name) {
            None => return Ok(None),
            Some(Value::Text(text)) if text.is_empty() => return Err(self.empty(name)),
            Some(Value::Text(literal) | Value::Number(literal)) => literal,
            Some(Value::Bool(b)) => return Err(self.not_an_integer(name, &b.to_string())),
            Some(other) => return Err(self.not_an_integer(name, kind(other))),
        };
        if !is_plain_integer(literal) {
            return Err(self.not_an_integer(name, &names::echo(literal)));
        }
        match literal.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => {
                let shown = names::show(&self.name_of(name));
                let message = format!(
                    "Invalid integer: {}. {shown} must be from {min} to {max}.",
                    names::echo(literal)
                );
                Err(self.invalid(name, codes::INVALID_INTEGER, message))
            }
        }
    }

    /// An integer that has to be there.
    ///
    /// # Errors
    /// As [`Reader::integer`]; `parameter_missing` when absent.
    pub fn required_integer(&mut self, name: &str, min: i64, max: i64) -> Result<i64, ParamError> {
        self.integer(name, min, max)?.ok_or_else(|| self.missing(name))
    }

    /// An integer in an update; the empty string unsets it.
    ///
    /// # Errors
    /// As [`Reader::integer`].
    pub fn patch_integer(&mut self, name: &str, min: i64, max: i64) -> Result<Patch<i64>, ParamError> {
        if self.is_empty_text(name) {
            self.ignore(name);
            return Ok(Patch::Unset);
        }
        Ok(Patch::of(self.sent(name), self.integer(name, min, max)?))
    }

    /// A point in time in whole unix seconds, up to the end of the year 9999.
    ///
    /// # Errors
    /// As [`Reader::integer`].
    pub fn timestamp(&mut self, name: &str) -> Result<Option<i64>, ParamError> {
        self.integer(name, 0, TIMESTAMP_MAX)
    }

    fn not_an_integer(&self, name: &str, got: &str) -> ParamError {
        let shown = names::show(&self.name_of(name));
        let message = format!("Invalid integer: {got}. {shown} takes digits only, such as 1000.");
        self.invalid(name, codes::INVALID_INTEGER, message)
    }

    fn is_empty_text(&self, name: &str) -> bool {
        matches!(self.find(name), Some(Value::Text(text)) if text.is_empty())
    }

    /// `true` or `false`, and nothing else that might mean it.
    ///
    /// # Errors
    /// Anything else.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, ParamError> {
        let got = match self.take(name) {
            None => return Ok(None),
            Some(Value::Bool(b)) => return Ok(Some(*b)),
            Some(Value::Text(text)) => match text.as_str() {
                "true" => return Ok(Some(true)),
                "false" => return Ok(Some(false)),
                "" => return Err(self.empty(name)),
                other => names::echo(other),
            },
            Some(Value::Number(literal)) => names::echo(literal),
            Some(other) => kind(other).to_owned(),
        };
        let shown = names::show(&self.name_of(name));
        let message = format!("Invalid boolean: {got}. {shown} must be true or false.");
        Err(self.invalid(name, codes::INVALID_BOOLEAN, message))
    }

    /// One of the texts in `allowed`.
    ///
    /// # Errors
    /// Any other text, the empty one included.
    pub fn one_of(
        &mut self,
        name: &str,
        allowed: &[&'static str],
    ) -> Result<Option<&'static str>, ParamError> {
        let Some(text) = self.string(name)? else { return Ok(None) };
        if text.is_empty() {
            return Err(self.empty(name));
        }
        if let Some(known) = allowed.iter().find(|known| **known == text) {
            return Ok(Some(known));
        }
        let shown = names::show(&self.name_of(name));
        let message =
            format!("Invalid {shown}: {}. It must be one of {}.", names::echo(text), allowed.join(", "));
        Err(self.invalid(name, codes::INVALID_ENUM, message))
    }

    /// One of the texts in `allowed`, in an update; the empty string unsets it.
    ///
    /// # Errors
    /// As [`Reader::one_of`].
    pub fn patch_one_of(
        &mut self,
        name: &str,
        allowed: &[&'static str],
    ) -> Result<Patch<&'static str>, ParamError> {
        if self.is_empty_text(name) {
            self.ignore(name);
            return Ok(Patch::Unset);
        }
        Ok(Patch::of(self.sent(name), self.one_of(name, allowed)?))
    }

    /// Refuses parameters that were not read.
    ///
    /// # Errors
    /// `parameter_unknown` for the first of them.
    pub fn finish(self) -> Result<(), ParamError> {
        let known = || self.taken.iter().map(String::as_str);
        let Some((unknown, _)) = self.entries.iter().find(|(name, _)| !known().any(|taken| taken == name))
        else {
            return Ok(());
        };
        let mut message = format!("Received unknown parameter: {}.", names::show(&self.name_of(unknown)));
        if let Some(meant) = names::closest(unknown, known()) {
            message.push_str(&format!(" Did you mean '{}'?", self.name_of(meant)));
        }
        Err(self.invalid(unknown, codes::UNKNOWN, message))
    }
}

/// A value's kind for messages; says nothing about its content.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::Text(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "an object",
    }
}

/// Digits without a leading zero, perhaps after a minus sign: one spelling for each number.
pub(super) fn is_plain_integer(literal: &str) -> bool {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain && (literal == "0" || !digits.starts_with('0'))
}
