//! What is wrong with a request, all of it at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Messages by the dotted name of the field that is to blame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors(BTreeMap<String, Vec<String>>);

impl Errors {
    /// Adds a whole sentence, which names the field; one that is there already is not added again.
    pub fn add(&mut self, field: &str, message: impl Into<String>) {
        let message = message.into();
        let messages = self.0.entry(field.to_owned()).or_default();
        if !messages.contains(&message) {
            messages.push(message);
        }
    }

    /// One error alone.
    pub fn of(field: &str, message: impl Into<String>) -> Errors {
        let mut errors = Errors::default();
        errors.add(field, message);
        errors
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Field and messages, by field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(field, messages)| (field.as_str(), messages.as_slice()))
    }

    /// `{"payment.price": ["..."]}`.
    pub fn to_json(&self) -> Value {
        json!(self.0)
    }

    /// For `meta.message`, which some clients show alone: the first error, and how many more there are.
    pub fn summary(&self) -> String {
        let mut messages = self.0.values().flatten();
        let first = messages.next().cloned().unwrap_or_default();
        match messages.count() {
            0 => first,
            1 => format!("{first} (and 1 more error)"),
            more => format!("{first} (and {more} more errors)"),
        }
    }
}
