//! Erasing a person: which parts of stored objects are about them, and how these are blanked.
//!
//! Amounts, ids, times, statuses, and of what was paid with the kind, brand and last four digits stay: the books need
//! them, and they name nobody. What is personal by its place goes whole. Texts in which people write freely go when the
//! person is named in them. Any other text is left alone: a word of ours may be somebody's name.

use serde_json::{Map, Value};

/// What stands where a text was that must be a text.
pub const ERASED: &str = "[erased]";

/// Objects and values that are about the payer alone, by the names that they have in rows, snapshots and replies.
const PERSONAL: &[&str] = &[
    "address",
    "bank_account",
    "bank_name",
    "billing",
    "billing_details",
    "billingAddress",
    "billingDetails",
    "customer_email",
    "email",
    "fingerprint",
    "holder",
    "payer",
    "payer_country",
    "payer_email",
    "payer_id",
    "payer_name",
    "phone",
    "receipt_email",
    "shipping",
    "shipping_details",
    "shippingAddress",
    "swift",
    "taxInfo",
];
/// The same in a signed request for a payment page.
const PERSONAL_IN_REQUEST: &[&str] = &["company", "user"];
/// What a customer says of itself, beside the above.
const OF_CUSTOMER: &[&str] =
    &["client", "company", "description", "firstName", "lastName", "metadata", "name", "preferred_locales"];
/// Where people write what they like.
const FREE: &[&str] = &[
    "callback_url",
    "comment",
    "description",
    "externalReference",
    "external_reference",
    "invoiceNumber",
    "invoice_number",
    "leave",
    "metadata",
    "name",
    "reference",
    "return_url",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "text",
];
/// Names of ours among them.
const OURS: &[&str] = &["back", "fail", "pending", "success"];
/// Objects nest no deeper than requests may.
const MAX_DEPTH: usize = 64;
/// Shorter texts stand in too much that is about something else.
const MIN_CHARS: usize = 4;
/// Digits without a letter: house numbers and years are shorter.
const MIN_DIGITS: usize = 7;

/// A person by the texts that name them.
#[derive(Clone, Debug)]
pub struct Person {
    /// In lower case.
    texts: Vec<String>,
    /// Of those that are numbers, the digits.
    numbers: Vec<String>,
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

impl Person {
    /// One who is known by `texts`. Short ones are left out.
    pub fn new(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Person {
        Person { texts: Vec::new(), numbers: Vec::new() }.also(texts)
    }

    /// The same person, who is known by `texts` too.
    pub fn also(self, texts: impl IntoIterator<Item = impl AsRef<str>>) -> Person {
        let mut person = self;
        for text in texts {
            let text = spaced(&text.as_ref().to_lowercase());
            if text.chars().any(char::is_alphabetic) {
                if text.chars().nth(MIN_CHARS - 1).is_some() {
                    person.texts.push(text);
                }
            } else if digits(&text).len() >= MIN_DIGITS {
                person.numbers.push(digits(&text));
            }
        }
        person
    }

    /// Whether one of the texts stands in `text`, whatever its case, and not as a part of a longer word; in an address of
    /// the web behind its host, and however it is encoded. Numbers may be spelled with anything between their digits.
    pub fn is_named_in(&self, text: &str) -> bool {
        let text = behind_host(text);
        let lower = text.to_lowercase();
        let decoded = decoded(&lower);
        let named = |text: &str| {
            let text = spaced(text);
            self.texts.iter().any(|known| stands_in(known, &text))
        };
        named(&lower)
            || decoded.as_deref().is_some_and(named)
            || (!self.numbers.is_empty() && {
                let all = digits(text);
                self.numbers.iter().any(|known| all.contains(known.as_str()))
            })
    }

    /// An address of the web without what names the person: without its query, or `None` if that is not enough.
    pub fn erase_address(&self, text: &str) -> Option<String> {
        if !self.is_named_in(text) {
            return Some(text.to_owned());
        }
        let bare = text.split(['?', '#']).next().unwrap_or_default();
        (!bare.is_empty() && !self.is_named_in(bare)).then(|| bare.to_owned())
    }

    /// A text of somebody's own, or JSON of such texts: one in which the person is named is blanked.
    pub fn erase_free(&self, text: &str) -> String {
        if let Some(mut value) = json(text) {
            let before = value.clone();
            self.visit_free(&mut value, MAX_DEPTH);
            return if value == before { text.to_owned() } else { value.to_string() };
        }
        if self.is_named_in(text) { ERASED.to_owned() } else { text.to_owned() }
    }

    /// An object of ours as JSON: what is personal by its place, and free texts.
    pub fn erase_object(&self, text: &str) -> String {
        let Some(mut value) = json(text) else { return text.to_owned() };
        let before = value.clone();
        self.visit(&mut value, MAX_DEPTH);
        if value == before { text.to_owned() } else { value.to_string() }
    }

    /// Somebody else's object as JSON: only texts in which the person is named.
    pub fn erase_named(&self, text: &str) -> String {
        let Some(mut value) = json(text) else { return text.to_owned() };
        let before = value.clone();
        self.visit_named(&mut value, MAX_DEPTH);
        if value == before { text.to_owned() } else { value.to_string() }
    }

    fn visit_named(&self, value: &mut Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.visit_named(item, depth)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    if PERSONAL.contains(&name.as_str()) || FREE.contains(&name.as_str()) {
                        self.visit_free(field, depth);
                    } else {
                        self.visit_named(field, depth);
                    }
                }
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A signed request as JSON: all of it is the sender's words.
    pub fn erase_request(&self, text: &str) -> String {
        let Some(mut value) = json(text) else { return self.erase_free(text) };
        if let Value::Object(fields) = &mut value {
            for (_, field) in
                fields.iter_mut().filter(|(name, _)| PERSONAL_IN_REQUEST.contains(&name.as_str()))
            {
                blank(field);
            }
        }
        self.visit_free(&mut value, MAX_DEPTH);
        value.to_string()
    }

    fn visit(&self, value: &mut Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            *value = Value::Null;
            return;
        };
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.visit(item, depth)),
            Value::Object(fields) => {
                if fields.get("object").and_then(Value::as_str) == Some("customer")
                    || fields.contains_key("firstName")
                {
                    blank_customer(fields);
                }
                // A Gate view has its service beside its operations: the merchant's own data.
                let gate = fields.contains_key("operations");
                for (name, field) in fields.iter_mut().filter(|(name, _)| !(gate && *name == "service")) {
                    match (name.as_str(), &mut *field) {
                        (name, field) if PERSONAL.contains(&name) => blank(field),
                        (name, field) if FREE.contains(&name) => self.visit_free(field, depth),
                        ("request", Value::String(text)) => *text = self.erase_request(text),
                        ("customer", Value::Object(customer)) => {
                            blank_customer(customer);
                            self.visit(field, depth);
                        }
                        (_, field) => self.visit(field, depth),
                    }
                }
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Every text, and every name of a field.
    fn visit_free(&self, value: &mut Value, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            *value = Value::Null;
            return;
        };
        match value {
            Value::String(text) if self.is_named_in(text) => ERASED.clone_into(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.visit_free(item, depth)),
            Value::Object(fields) => {
                for (mut name, mut field) in std::mem::take(fields) {
                    self.visit_free(&mut field, depth);
                    if self.is_named_in(&name) && !OURS.contains(&name.as_str()) {
                        ERASED.clone_into(&mut name);
                        let mut n = 2;
                        while fields.contains_key(&name) {
                            name = format!("{ERASED} {n}");
                            n += 1;
                        }
                    }
                    fields.insert(name, field);
                }
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Fields that name one person or household, wherever they stand.
const NAMING: &[&str] = &[
    "address1",
    "address2",
    "company",
    "email",
    "first_name",
    "last_name",
    "line1",
    "line2",
    "name",
    "payer_email",
    "payer_name",
    "phone",
    "receipt_email",
];

/// Collects by what the payer is known from details of a payment: from its personal places, and nowhere else.
pub fn names(details: &Value, found: &mut Vec<String>) {
    let Value::Object(fields) = details else { return };
    for (name, field) in fields {
        match field {
            Value::String(text) if NAMING.contains(&name.as_str()) && text != ERASED => {
                found.push(text.clone())
            }
            Value::Object(_) if matches!(name.as_str(), "address" | "shipping") => names(field, found),
            _ => {}
        }
    }
}

/// JSON that is more than a number or a word.
fn json(text: &str) -> Option<Value> {
    text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok()).flatten()
}

/// What of an address of the web may be about a person; any other text whole.
fn behind_host(text: &str) -> &str {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.map_or(text, |rest| rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default())
}

/// A text with `%40` and `+` read as forms and addresses write them; `None` if it has neither.
fn decoded(text: &str) -> Option<String> {
    if !text.contains(['%', '+']) {
        return None;
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, more @ ..] = rest {
        let hex = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = more;
            }
        }
    }
    Some(String::from_utf8_lossy(&bytes).to_lowercase())
}

/// With one space wherever there is any.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn stands_in(known: &str, text: &str) -> bool {
    text.match_indices(known).any(|(at, _)| {
        let before = text.get(..at).and_then(|s| s.chars().next_back());
        let after = text.get(at + known.len()..).and_then(|s| s.chars().next());
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
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
        Person::new([
            "Anna.Schmidt@example.com",
            "Anna Schmidt",
            "X",
            "12",
            " +49 30 1234567 ",
            "Card",
            "test",
        ])
    }

    #[test]
    fn a_name_is_found_as_a_word_however_it_is_spelled() {
        for text in [
            "for ANNA SCHMIDT, Berlin",
            "mailto:anna.schmidt@example.com?x=1",
            "(+49 30 1234567)",
            "0049-30/123.45.67",
            "https://shop.example/?e=anna.schmidt%40example.com",
            "n=Anna+Schmidt&x=1",
            "the test",
        ] {
            assert!(person().is_named_in(text), "{text}");
        }
        for text in
            ["Hanna Schmidt", "Anna Schmidtke", "x", "12", "12.00", "tests", "", "https://test.example/a"]
        {
            assert!(!person().is_named_in(text), "{text}");
        }
    }

    #[test]
    fn what_is_personal_goes_and_what_the_books_need_stays() {
        let value = json!({
            "payment": { "payment": { "id": "pi_1", "amount": 100, "scope": { "mode": "test" },
                "details": { "receipt_email": "other@example.com", "description": "Order 7",
                    "payment_method_types": ["card"], "shipping":
                    { "name": "B", "address": { "line1": "Street 1", "country": "DE" } } },
                "metadata": [["order", "7"], ["note", "call Anna Schmidt"]] } },
            "attempt": { "method": { "type": "card", "last4": "4242", "fingerprint": "abc" },
                "billing": { "name": "C", "email": null } },
            "customer": { "id": "cus_1", "name": "Anna Schmidt", "email": "e", "metadata": [["a", "b"]],
                "preferred_locales": ["de"] },
            "gate": { "transaction": { "request":
                    "{\"user\":{\"email\":\"e\",\"zip\":10115},\"company\":{\"tax_id\":\"CZ1\"},\"price\":\"1.00\"}" },
                "operations": [], "service": { "merchant": { "email": "shop@example.com" } } },
        });
        let erased: Value = serde_json::from_str(&person().erase_object(&value.to_string())).expect("JSON");
        assert_eq!(
            erased,
            json!({
                "payment": { "payment": { "id": "pi_1", "amount": 100, "scope": { "mode": "test" },
                    "details": { "receipt_email": ERASED, "description": "Order 7",
                        "payment_method_types": ["card"], "shipping":
                        { "name": ERASED, "address": { "line1": ERASED, "country": ERASED } } },
                    "metadata": [["order", "7"], ["note", ERASED]] } },
                "attempt": { "method": { "type": "card", "last4": "4242", "fingerprint": ERASED },
                    "billing": { "name": ERASED, "email": null } },
                "customer": { "id": "cus_1", "name": null, "email": ERASED, "metadata": [],
                    "preferred_locales": [] },
                "gate": { "transaction": { "request":
                    "{\"user\":{\"email\":\"[erased]\",\"zip\":null},\"company\":{\"tax_id\":\"[erased]\"},\"price\":\"1.00\"}" },
                    "operations": [], "service": { "merchant": { "email": "shop@example.com" } } },
            })
        );
    }

    #[test]
    fn replies_about_customers_are_blanked() {
        for (reply, erased) in [
            (
                json!({ "object": "customer", "id": "cus_1", "name": "N", "metadata": { "k": "v" } }),
                json!({ "object": "customer", "id": "cus_1", "name": null, "metadata": {} }),
            ),
            (
                json!({ "id": "0", "firstName": "A", "lastName": "B", "company": null, "taxInfo": { "vatId": "X" } }),
                json!({ "id": "0", "firstName": null, "lastName": null, "company": null, "taxInfo": { "vatId": ERASED } }),
            ),
        ] {
            assert_eq!(person().erase_object(&reply.to_string()), erased.to_string());
        }
    }

    #[test]
    fn texts_that_name_nobody_stay_as_they_are() {
        for text in ["{ \"total\": 1.10, \"user\": \"cashier-5\" }", "{transactionId}", "[1, 2]", "plain"] {
            assert_eq!(person().erase_free(text), text);
            assert_eq!(person().erase_object(text), text);
        }
        let keys = "{\"Anna Schmidt\":\"vip\",\"to Anna  Schmidt\":\"x\"}";
        assert_eq!(person().erase_free(keys), "{\"[erased]\":\"vip\",\"[erased] 2\":\"x\"}");
        for (address, bare) in [
            ("https://test.example/a?n=Anna+Schmidt", Some("https://test.example/a")),
            ("https://test.example/Anna%20Schmidt?a=1", None),
            ("https://test.example/a?b=c", Some("https://test.example/a?b=c")),
        ] {
            assert_eq!(person().erase_address(address).as_deref(), bare, "{address}");
        }
    }

    #[test]
    fn what_nests_too_deep_goes_whole() {
        let mut value = json!("Anna Schmidt");
        for _ in 0..100 {
            value = json!([value]);
        }
        assert!(!person().erase_free(&value.to_string()).contains("Anna"));
    }
}
