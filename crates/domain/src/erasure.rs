//! Erasing a person: which parts of stored objects are about them, and how these are blanked.
//!
//! Amounts, ids, times, statuses, and of what was paid with the kind, brand and last four digits stay: the books need
//! them, and they name nobody. What is personal by its place goes whole; any other text goes when the person is named
//! in it.

use serde_json::{Map, Value};

/// What stands where a text was that must be a text.
pub const ERASED: &str = "[erased]";

/// Objects that are about the payer alone, by the names that they have in rows, snapshots, signed requests and replies.
const PERSONAL: &[&str] = &[
    "address",
    "billing",
    "billing_details",
    "billingAddress",
    "billingDetails",
    "payer",
    "shipping",
    "shipping_details",
    "shippingAddress",
    "taxInfo",
    "user",
];
/// Single values of that kind.
const PERSONAL_VALUES: &[&str] = &[
    "bank_account",
    "bank_name",
    "customer_email",
    "email",
    "fingerprint",
    "holder",
    "payer_country",
    "payer_email",
    "payer_id",
    "payer_name",
    "phone",
    "receipt_email",
    "swift",
    "vatId",
];
/// What a customer says of itself, beside the above.
const OF_CUSTOMER: &[&str] =
    &["client", "company", "description", "firstName", "lastName", "metadata", "name", "preferred_locales"];
/// The merchant's own data, which has fields of the same names.
const SPARED: &[&str] = &["service"];
/// Objects nest no deeper than requests may.
const MAX_DEPTH: usize = 64;

/// A person by the texts that name them.
pub struct Person {
    /// In lower case.
    texts: Vec<String>,
}

impl Person {
    /// One who is known by `texts`. Those of a single character are left out: they name nobody.
    pub fn new(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Person {
        let mut known: Vec<String> = texts.into_iter().map(|t| t.as_ref().trim().to_lowercase()).collect();
        known.retain(|text| text.chars().nth(1).is_some());
        known.sort_unstable();
        known.dedup();
        Person { texts: known }
    }

    /// Whether one of the texts stands in `text`, whatever its case, and not as a part of a longer word.
    pub fn is_named_in(&self, text: &str) -> bool {
        let lower = text.to_lowercase();
        self.texts.iter().any(|known| {
            lower.match_indices(known.as_str()).any(|(at, _)| {
                let before = lower.get(..at).and_then(|s| s.chars().next_back());
                let after = lower.get(at + known.len()..).and_then(|s| s.chars().next());
                !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
            })
        })
    }

    /// `text` without the person; JSON in it keeps its form.
    pub fn erase_text(&self, text: &str) -> String {
        if text.starts_with(['{', '['])
            && let Ok(mut value) = serde_json::from_str(text)
        {
            self.erase(&mut value);
            return value.to_string();
        }
        if self.is_named_in(text) { ERASED.to_owned() } else { text.to_owned() }
    }

    /// Blanks what of `value` is about the person.
    pub fn erase(&self, value: &mut Value) {
        self.visit(value, MAX_DEPTH);
    }

    fn visit(&self, value: &mut Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            *value = Value::Null;
            return;
        };
        match value {
            Value::String(text) => *text = self.erase_text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.visit(item, depth)),
            Value::Object(fields) => {
                if fields.get("object").and_then(Value::as_str) == Some("customer") {
                    blank_customer(fields);
                }
                for (name, field) in fields {
                    if SPARED.contains(&name.as_str()) {
                        continue;
                    }
                    if PERSONAL.contains(&name.as_str()) || PERSONAL_VALUES.contains(&name.as_str()) {
                        blank(field);
                    } else {
                        if name == "customer"
                            && let Value::Object(customer) = field
                        {
                            blank_customer(customer);
                        }
                        self.visit(field, depth);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

fn blank_customer(customer: &mut Map<String, Value>) {
    for (_, field) in customer.iter_mut().filter(|(name, _)| OF_CUSTOMER.contains(&name.as_str())) {
        match field {
            Value::Array(items) => items.clear(),
            Value::Object(fields) => fields.clear(),
            other => *other = Value::Null,
        }
    }
}

/// Blanks every value in `value`, whose form stays: texts become [`ERASED`], so that what must be a text is one still.
pub fn blank(value: &mut Value) {
    match value {
        Value::String(text) => ERASED.clone_into(text),
        Value::Number(_) => *value = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(fields) => fields.values_mut().for_each(blank),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn person() -> Person {
        Person::new(["Anna.Schmidt@example.com", "Anna Schmidt", "X", " +49 30 1234 "])
    }

    #[test]
    fn a_name_is_found_as_a_word_in_any_case() {
        for text in [
            "for ANNA SCHMIDT, Berlin",
            "anna schmidt",
            "mailto:anna.schmidt@example.com?x=1",
            "(+49 30 1234)",
        ] {
            assert!(person().is_named_in(text), "{text}");
        }
        for text in ["Hanna Schmidt", "Anna Schmidtke", "x", "+49 30 12345", ""] {
            assert!(!person().is_named_in(text), "{text}");
        }
    }

    #[test]
    fn what_is_personal_goes_and_what_the_books_need_stays() {
        let mut value = json!({
            "payment": { "payment": { "id": "pi_1", "amount": 100,
                "details": { "receipt_email": "other@example.com", "description": "Order 7", "shipping":
                    { "name": "B", "address": { "line1": "Street 1", "country": "DE" } } },
                "metadata": [["order", "7"], ["note", "call Anna Schmidt"]] } },
            "attempt": { "method": { "type": "card", "last4": "4242", "fingerprint": "abc" },
                "billing": { "name": "C", "email": null } },
            "customer": { "id": "cus_1", "name": "Anna Schmidt", "email": "e", "metadata": [["a", "b"]],
                "preferred_locales": ["de"] },
            "gate": { "transaction": { "request": "{\"user\":{\"email\":\"e\",\"zip\":10115},\"price\":\"1.00\"}" },
                "service": { "merchant": { "email": "shop@example.com" } } },
        });
        person().erase(&mut value);
        assert_eq!(
            value,
            json!({
                "payment": { "payment": { "id": "pi_1", "amount": 100,
                    "details": { "receipt_email": ERASED, "description": "Order 7", "shipping":
                        { "name": ERASED, "address": { "line1": ERASED, "country": ERASED } } },
                    "metadata": [["order", "7"], ["note", ERASED]] } },
                "attempt": { "method": { "type": "card", "last4": "4242", "fingerprint": ERASED },
                    "billing": { "name": ERASED, "email": null } },
                "customer": { "id": "cus_1", "name": null, "email": ERASED, "metadata": [],
                    "preferred_locales": [] },
                "gate": { "transaction": { "request":
                    "{\"user\":{\"email\":\"[erased]\",\"zip\":null},\"price\":\"1.00\"}" },
                    "service": { "merchant": { "email": "shop@example.com" } } },
            })
        );
    }

    #[test]
    fn a_reply_about_a_customer_is_blanked() {
        let mut value = json!({ "object": "customer", "id": "cus_1", "name": "N", "metadata": { "k": "v" } });
        person().erase(&mut value);
        assert_eq!(value, json!({ "object": "customer", "id": "cus_1", "name": null, "metadata": {} }));
    }

    #[test]
    fn what_nests_too_deep_goes_whole() {
        let mut value = json!("Anna Schmidt");
        for _ in 0..200 {
            value = json!([value]);
        }
        person().erase(&mut value);
        assert!(!value.to_string().contains("Anna"));
    }
}
