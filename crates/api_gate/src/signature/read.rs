//! From bytes, or from JSON of our own, to the tree that is signed.

use web::params::{Params, Value};

use super::canonical::Number;

/// Largest body, in bytes.
pub const BODY_MAX: usize = web::body::BODY_MAX;

/// Why a body cannot be read. Each message is complete and holds no value of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// 413.
    #[error("The body is larger than {BODY_MAX} bytes. Send less.")]
    TooLarge,
    /// 400.
    #[error("{0}")]
    Invalid(String),
}

pub(super) fn entries(body: &[u8]) -> Result<Vec<(String, Value)>, Unreadable> {
    if body.len() > BODY_MAX {
        return Err(Unreadable::TooLarge);
    }
    if body.is_empty() {
        return Err(Unreadable::Invalid("The body is empty. Send a JSON object.".to_owned()));
    }
    let params = Params::from_json(body).map_err(|error| {
        let name = error.param.unwrap_or_default();
        // Names are dotted on this surface.
        let dotted = name.replace("][", ".").replace('[', ".").replace(']', "");
        let message = if name.is_empty() { error.message } else { error.message.replace(&name, &dotted) };
        Unreadable::Invalid(message)
    })?;
    if params.entries().iter().any(|(_, value)| holds_infinity(value)) {
        let message = "The JSON body has a number beyond the range of a float (about 1.8e308).";
        return Err(Unreadable::Invalid(message.to_owned()));
    }
    Ok(params.entries().to_vec())
}

/// Whether a number has no value that all readers share: some fail on `1e999`, others read infinity.
fn holds_infinity(value: &Value) -> bool {
    match value {
        Value::Number(literal) => {
            matches!(Number::of(literal), Number::Float(float) if !float.is_finite())
        }
        Value::List(items) => items.iter().any(holds_infinity),
        Value::Map(entries) => entries.iter().any(|(_, value)| holds_infinity(value)),
        Value::Null | Value::Bool(_) | Value::Text(_) => false,
    }
}

/// The tree that a receiver decodes from `body.to_string()`.
pub(super) fn of_json(body: &serde_json::Map<String, serde_json::Value>) -> Vec<(String, Value)> {
    body.iter().map(|(key, value)| (key.clone(), of_json_value(value))).collect()
}

fn of_json_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(*truth),
        // As it is printed: a float keeps its point or exponent.
        serde_json::Value::Number(number) => Value::Number(number.to_string()),
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(of_json_value).collect()),
        serde_json::Value::Object(body) => Value::Map(of_json(body)),
    }
}

/// The bodies that PHP's signer may have seen when `json_encode()` sent this one: its prices as floats, and
/// all its numbers but those that are counts and ids. None for a body without such an integer.
pub(super) fn as_if_floats(entries: &[(String, Value)]) -> Vec<Vec<(String, Value)>> {
    let price = |path: &[&str]| matches!(path, ["payment" | "refund", "price" | "amount"]);
    let any = |path: &[&str]| !matches!(path, ["meta" | "recurring", ..] | ["payment", "payment_method_id"]);
    let mut suspects = Vec::new();
    for floats in [&price as &dyn Fn(&[&str]) -> bool, &any] {
        let suspect = floated_map(entries, &[], floats);
        if suspect != entries && !suspects.contains(&suspect) {
            suspects.push(suspect);
        }
    }
    suspects
}

fn floated_map(
    entries: &[(String, Value)],
    path: &[&str],
    floats: &dyn Fn(&[&str]) -> bool,
) -> Vec<(String, Value)> {
    let below = |(key, value): &(String, Value)| {
        let path = [path, &[key.as_str()]].concat();
        (key.clone(), floated(value, &path, floats))
    };
    entries.iter().map(below).collect()
}

fn floated(value: &Value, path: &[&str], floats: &dyn Fn(&[&str]) -> bool) -> Value {
    match value {
        Value::Number(literal) if floats(path) && matches!(Number::of(literal), Number::Int(_)) => {
            Value::Number(format!("{literal}.0"))
        }
        Value::Map(entries) => Value::Map(floated_map(entries, path, floats)),
        Value::List(items) => Value::List(items.iter().map(|item| floated(item, path, floats)).collect()),
        other => other.clone(),
    }
}
