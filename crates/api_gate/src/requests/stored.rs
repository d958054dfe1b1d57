//! What is kept of a request for its echo, and the texts in it that must not be kept.

use domain::card::contains_card_number;
use web::params::Value;

use super::checks;
use crate::signature::SignedBody;

/// Stands where a card number or a security code was.
const HIDDEN: &str = "(hidden)";

/// Members with this name hold a card's security code, whatever their case and punctuation.
const SECURITY_CODES: [&str; 10] =
    ["cvc", "cvc2", "cvv", "cvv2", "csc", "cvn", "cardcvc", "cardcvv", "securitycode", "cardsecuritycode"];

/// The body as it was sent, as compact JSON: numbers keep their spelling, unknown members stay. Without
/// `meta.signature`, which with the body would be all that is needed to repeat the request; and with card
/// numbers and security codes hidden, which may not be stored.
pub fn stored_request(body: &SignedBody) -> String {
    json_text(&Value::Map(kept(body)))
}

/// The same of a payout: of the account that is paid, which is kept sealed elsewhere, only the end.
pub fn stored_payout(body: &SignedBody) -> String {
    let mut kept = kept(body);
    for (_, company) in kept.iter_mut().filter(|(key, _)| key == "company") {
        let Value::Map(company) = company else { continue };
        for (_, account) in company.iter_mut().filter(|(key, _)| key == "bank_account") {
            if let Value::Text(text) | Value::Number(text) = account {
                *account = Value::Text(last_four(text));
            }
        }
    }
    json_text(&Value::Map(kept))
}

fn kept(body: &SignedBody) -> Vec<(String, Value)> {
    let mut kept = Vec::with_capacity(body.entries().len());
    for (key, value) in body.entries() {
        let value = match value {
            Value::Map(meta) if key == "meta" => {
                Value::Map(meta.iter().filter(|(key, _)| key != "signature").cloned().collect())
            }
            value => value.clone(),
        };
        kept.push((key.clone(), value));
    }
    masked_map(&kept, &[])
}

/// `value` without what must not be kept.
pub(super) fn masked(value: &Value, path: &[&str]) -> Value {
    match value {
        Value::Text(text) if !may_hold_digits(text, path) && contains_card_number(text) => {
            Value::Text(HIDDEN.to_owned())
        }
        Value::Number(literal) if contains_card_number(literal) => Value::Text(HIDDEN.to_owned()),
        Value::Map(entries) => Value::Map(masked_map(entries, path)),
        Value::List(items) => {
            Value::List(items.iter().map(|item| masked(item, &[path, &[""]].concat())).collect())
        }
        other => other.clone(),
    }
}

fn masked_map(entries: &[(String, Value)], path: &[&str]) -> Vec<(String, Value)> {
    // A name has no room for a mask: two could become one.
    let nameable = entries.iter().filter(|(key, _)| !contains_card_number(key));
    let below = |(key, value): &(String, Value)| {
        let scalar = matches!(value, Value::Text(_) | Value::Number(_));
        if scalar && is_security_code(key) {
            return (key.clone(), Value::Text(HIDDEN.to_owned()));
        }
        (key.clone(), masked(value, &[path, &[key.as_str()]].concat()))
    };
    nameable.map(below).collect()
}

/// The fields where what looks like a card number is taken for what it should be.
fn may_hold_digits(text: &str, path: &[&str]) -> bool {
    match path {
        ["user", "phone"] => checks::phone(text).is_ok(),
        ["company", "bank_account"] => checks::bank_account(text).is_ok(),
        _ => false,
    }
}

/// An account number as it may be shown.
fn last_four(account: &str) -> String {
    let start = account.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    if start == 0 { "…".to_owned() } else { format!("…{}", &account[start..]) }
}

fn is_security_code(key: &str) -> bool {
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    SECURITY_CODES.contains(&plain.as_str())
}

/// Whether a card number stands anywhere in `value`, in a name or in a number too.
pub(super) fn holds_card_number(value: &Value) -> bool {
    match value {
        Value::Text(text) | Value::Number(text) => contains_card_number(text),
        Value::Map(entries) => {
            entries.iter().any(|(key, value)| contains_card_number(key) || holds_card_number(value))
        }
        Value::List(items) => items.iter().any(holds_card_number),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Compact JSON with number literals as they were.
pub(super) fn json_text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(literal) => out.push_str(literal),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::List(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                write(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (place, (key, value)) in entries.iter().enumerate() {
                out.push_str(if place == 0 { "" } else { "," });
                out.push_str(&quoted(key));
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(body: &str) -> String {
        stored_request(&SignedBody::read(body.as_bytes()).unwrap())
    }

    #[test]
    fn the_body_as_it_was_without_its_signature() {
        for (body, expected) in [
            (r#"{"meta":{"signature":"x","service_id":1}}"#, r#"{"meta":{"service_id":1}}"#),
            (
                r#"{ "b" : 1.50, "a" : [1e2, 100.0, -0, 12.320000000000000001] }"#,
                r#"{"b":1.50,"a":[1e2,100.0,-0,12.320000000000000001]}"#,
            ),
            (r#"{"x":{"signature":"s"},"signature":"t"}"#, r#"{"x":{"signature":"s"},"signature":"t"}"#),
            (
                r#"{"t":"\u00e9\u20ac\n\"\\\/ ","n":null,"e":{},"l":[]}"#,
                r#"{"t":"é€\n\"\\/ ","n":null,"e":{},"l":[]}"#,
            ),
            (
                r#"{"meta":"signature","callback":{"url":"http://old"}}"#,
                r#"{"meta":"signature","callback":{"url":"http://old"}}"#,
            ),
        ] {
            assert_eq!(stored(body), expected);
            assert_eq!(stored(expected), expected);
        }
    }

    #[test]
    fn cards_are_hidden() {
        for (body, expected) in [
            (
                r#"{"card":{"number":"4242 4242 4242 4242","cvc":"123"}}"#,
                r#"{"card":{"number":"(hidden)","cvc":"(hidden)"}}"#,
            ),
            (r#"{"a":4242424242424242,"b":4242424242424242.0}"#, r#"{"a":"(hidden)","b":"(hidden)"}"#),
            (r#"{"a":["pan: 4242424242424242"],"4242424242424242":1}"#, r#"{"a":["(hidden)"]}"#),
            (
                r#"{"CVV2":123,"card_cvc":"1","security-code":"9"}"#,
                r#"{"CVV2":"(hidden)","card_cvc":"(hidden)","security-code":"(hidden)"}"#,
            ),
            (
                r#"{"user":{"phone":"4222222222222","zip":"4222222222222"}}"#,
                r#"{"user":{"phone":"4222222222222","zip":"(hidden)"}}"#,
            ),
            (
                r#"{"company":{"bank_account":"4222222222222"}}"#,
                r#"{"company":{"bank_account":"4222222222222"}}"#,
            ),
            (
                r#"{"company":{"bank_account":"4242424242424242"}}"#,
                r#"{"company":{"bank_account":"(hidden)"}}"#,
            ),
        ] {
            assert_eq!(stored(body), expected);
        }
    }
}
