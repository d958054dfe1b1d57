//! Request parameters as one tree, whether they came as a form body, a query string or JSON.
//!
//! Parsing is strict where two parsers could disagree (duplicate names, lone surrogates, bad escapes):
//! what one component of a payment system reads must be what every other one read. All limits are
//! here; the cost of a hostile input is linear in its size, which the HTTP layer bounds.

mod canonical;
mod form;
mod json;
mod metadata;
mod names;
mod nested;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;

pub use metadata::MetadataPatch;
pub use names::{echo, show as echo_name};
pub use nested::Range;
pub use reader::{Patch, Reader};

/// Name-value pairs in one form body or query string.
pub const MAX_FORM_PAIRS: usize = 1_000;
/// Bracketed segments after a form name: `a[b][c]` has two.
pub const MAX_FORM_DEPTH: usize = 5;
/// Items that a form may append to one list with `a[]=`.
pub const MAX_FORM_LIST_ITEMS: usize = 100;
/// Nested objects and arrays in a JSON body, the outermost one included.
pub const MAX_JSON_DEPTH: usize = 32;
/// Values in a JSON body, of all kinds and levels.
pub const MAX_JSON_NODES: usize = 10_000;
/// Characters of a refused value that an error message repeats.
pub const MAX_ECHO_CHARS: usize = 40;
/// Characters of a parameter name that an error repeats.
pub const MAX_ECHO_NAME_CHARS: usize = 120;

/// Values of [`ParamError::code`]: Stripe's own where it has one.
pub mod codes {
    /// The body or query string cannot be read at all.
    pub const BODY_INVALID: &str = "request_body_invalid";
    /// A limit on depth, number of parameters or list length is exceeded.
    pub const TOO_COMPLEX: &str = "request_too_complex";
    /// A name is given twice.
    pub const DUPLICATE: &str = "parameter_duplicate";
    /// A name is used as two of: plain value, list, map.
    pub const CONFLICT: &str = "parameter_conflict";
    pub const MISSING: &str = "parameter_missing";
    pub const UNKNOWN: &str = "parameter_unknown";
    pub const INVALID_EMPTY: &str = "parameter_invalid_empty";
    pub const INVALID_INTEGER: &str = "parameter_invalid_integer";
    pub const INVALID_BOOLEAN: &str = "parameter_invalid_boolean";
    pub const INVALID_STRING: &str = "parameter_invalid_string";
    pub const INVALID_STRING_BLANK: &str = "parameter_invalid_string_blank";
    pub const INVALID_ENUM: &str = "parameter_invalid_enum";
    pub const INVALID_LIST: &str = "parameter_invalid_array";
    pub const INVALID_OBJECT: &str = "parameter_invalid_object";
    pub const INVALID_METADATA: &str = "parameter_invalid_metadata";
}

/// One parameter value.
///
/// A form's `a[]=x` is a [`Value::List`]. A form's `a[0]=x` is a [`Value::Map`] with the key `"0"`:
/// only the reader knows whether `0` is an index (`items[0]`) or a key (`metadata[0]`), so list readers
/// accept such maps.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    /// A JSON number, as the literal that was sent: `1e3` stays `1e3`.
    Number(String),
    Text(String),
    List(Vec<Value>),
    /// Unique keys in the order sent.
    Map(Vec<(String, Value)>),
}

/// Shows kinds and sizes only: values may be card numbers, and debug output ends up in logs.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(_) => f.write_str("bool"),
            Value::Number(_) => f.write_str("number"),
            Value::Text(text) => write!(f, "text({} bytes)", text.len()),
            Value::List(items) => f.debug_list().entries(items).finish(),
            Value::Map(entries) => f.debug_map().entries(entries.iter().map(|(k, v)| (k, v))).finish(),
        }
    }
}

/// Why parameters were refused: always the client's fault, HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// One of [`codes`].
    pub code: &'static str,
    /// The form name of the parameter, nested with brackets (`card[number]`), when one is to blame.
    pub param: Option<String>,
    /// For the developer who sent the request: what was wrong and what to do.
    pub message: String,
}

impl ParamError {
    pub(crate) fn general(code: &'static str, message: impl Into<String>) -> ParamError {
        ParamError { code, param: None, message: message.into() }
    }

    pub(crate) fn of(code: &'static str, param: &str, message: impl Into<String>) -> ParamError {
        ParamError { code, param: Some(names::show(param)), message: message.into() }
    }
}

/// The parameters of one request.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Params(Vec<(String, Value)>);

/// See the `Debug` of [`Value`]: no values are shown.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, value)| (name, value))).finish()
    }
}

impl Params {
    /// No parameters.
    pub fn empty() -> Params {
        Params::default()
    }

    /// Parses a query string, without its `?`.
    ///
    /// # Errors
    /// As [`Params::from_form`].
    pub fn from_query(query: &str) -> Result<Params, ParamError> {
        form::parse(query.as_bytes(), "query string").map(Params)
    }

    /// Parses an `application/x-www-form-urlencoded` body with bracketed names.
    ///
    /// # Errors
    /// Bad percent-encoding, bytes that are not UTF-8, NUL, bad names, a name given twice or used as
    /// two kinds of value, and more than [`MAX_FORM_PAIRS`], [`MAX_FORM_DEPTH`] or
    /// [`MAX_FORM_LIST_ITEMS`].
    pub fn from_form(body: &[u8]) -> Result<Params, ParamError> {
        form::parse(body, "body").map(Params)
    }

    /// Parses a JSON body (RFC 8259), which must be an object. An empty body is no parameters.
    ///
    /// # Errors
    /// Whatever RFC 8259 does not allow, and besides: duplicate names, lone surrogates, a byte order
    /// mark, NUL in strings, more than [`MAX_JSON_DEPTH`] or [`MAX_JSON_NODES`].
    pub fn from_json(body: &[u8]) -> Result<Params, ParamError> {
        if body.is_empty() {
            return Ok(Params::empty());
        }
        json::parse(body).map(Params)
    }

    /// The parameters of both, as when a POST has a query string and a body.
    ///
    /// # Errors
    /// A top-level name present in both: which one is meant would depend on the reader.
    pub fn merge(mut self, other: Params) -> Result<Params, ParamError> {
        let taken: HashSet<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        if let Some((name, _)) = other.0.iter().find(|(name, _)| taken.contains(name.as_str())) {
            let message = format!(
                "{} is given both in the query string and in the body. Send it once.",
                names::show(name)
            );
            return Err(ParamError::of(codes::DUPLICATE, name, message));
        }
        self.0.extend(other.0);
        Ok(self)
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The top-level parameters, in the order sent.
    pub fn entries(&self) -> &[(String, Value)] {
        &self.0
    }

    /// Feeds `sink` a serialisation that does not depend on the order of names: the input of an
    /// idempotency fingerprint. Injective (every text is preceded by its length, every value by its
    /// type), so two different requests never look the same. Values at the dotted paths in `without`
    /// (such as `payment_method_data.card.cvc`) count by their presence only.
    pub fn canonical(&self, without: &[&str], sink: &mut dyn FnMut(&[u8])) {
        canonical::map(&self.0, without, sink);
    }

    /// Reads the parameters one by one; see [`Reader`].
    pub fn reader(&self) -> Reader<'_> {
        Reader::root(&self.0)
    }
}
