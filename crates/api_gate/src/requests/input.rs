//! Taking fields out of a body, and noting every one that is wrong.

use std::fmt::Display;

use domain::currency::Currency;
use domain::money::{DecimalError, parse_major};
use domain::text::{multi_line, single_line};
use web::params::Value;

use super::{Errors, Policy};
use crate::signature::{Number, SignedBody, is_blank};

/// Names of one field in a block: its own, then those of the other dialect.
pub(super) type Names = &'static [&'static str];

/// Longest id of the merchant's own, in characters.
const KEY_MAX: usize = 191;

pub(super) struct Input<'b> {
    entries: &'b [(String, Value)],
    pub policy: Policy,
    pub errors: Errors,
}

impl<'b> Input<'b> {
    pub fn new(body: &'b SignedBody, policy: Policy) -> Input<'b> {
        Input { entries: body.entries(), policy, errors: Errors::default() }
    }

    /// `value` if nothing is wrong. A `None` comes with an error.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Errors> {
        value.filter(|_| self.errors.is_empty()).ok_or(self.errors)
    }

    /// A top-level member that this call must not have.
    pub fn absent(&mut self, name: &str, why: &str) {
        if self.member(name).is_some() {
            self.errors.add(name, format!("{name} {why}."));
        }
    }

    /// A top-level member; `None` for what says nothing.
    pub fn member(&self, name: &str) -> Option<&'b Value> {
        lookup(self.entries, name)
    }

    fn block(&mut self, name: &str) -> &'b [(String, Value)] {
        match self.member(name) {
            Some(Value::Map(entries)) => entries,
            None => &[],
            // What PHP makes of a map without entries.
            Some(Value::List(items)) if items.is_empty() => &[],
            Some(_) => {
                self.errors.add(name, format!("{name} must be an object."));
                &[]
            }
        }
    }

    /// The field under the first of `names` that is there, with its dotted name.
    fn find(&mut self, block: &str, names: Names) -> Option<(String, &'b Value)> {
        let entries = self.block(block);
        let mut found = names.iter().filter_map(|name| Some((*name, lookup(entries, name)?)));
        let (first, value) = found.next()?;
        // Two names with two values could be read in two ways, perhaps with two amounts.
        if let Some((other, _)) = found.find(|(_, other)| *other != value) {
            let path = format!("{block}.{other}");
            self.errors.add(&path, format!("{path} is another name for {block}.{first}. Send one of them."));
        }
        Some((format!("{block}.{first}"), value))
    }

    /// Notes when a field is missing.
    pub fn require(&mut self, block: &str, names: Names, help: &str) {
        if self.find(block, names).is_none() {
            let path = format!("{block}.{}", names.first().unwrap_or(&""));
            self.errors.add(&path, format!("{path} is required: {help}."));
        }
    }

    fn refuse(&mut self, path: &str, phrase: impl Display) {
        self.errors.add(path, format!("{path} {phrase}."));
    }

    /// A text that is not blank.
    fn text(&mut self, block: &str, names: Names) -> Option<(String, &'b str)> {
        match self.find(block, names)? {
            (path, Value::Text(text)) => Some((path, text)),
            (path, _) => {
                self.refuse(&path, "must be a string");
                None
            }
        }
    }

    /// A text that passes `check`.
    pub fn checked<E: Display>(
        &mut self,
        block: &str,
        names: Names,
        check: impl Fn(&str) -> Result<(), E>,
    ) -> Option<String> {
        let (path, text) = self.text(block, names)?;
        match check(text) {
            Ok(()) => Some(text.to_owned()),
            Err(phrase) => {
                self.refuse(&path, phrase);
                None
            }
        }
    }

    /// A text that `read` understands; `phrase` says what it must be.
    pub fn parsed<T>(
        &mut self,
        block: &str,
        names: Names,
        phrase: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (path, text) = self.text(block, names)?;
        let value = read(text);
        if value.is_none() {
            self.refuse(&path, phrase);
        }
        value
    }

    /// Free text of one line.
    pub fn line(&mut self, block: &str, names: Names, max_chars: usize) -> Option<String> {
        self.checked(block, names, |text| single_line(text, max_chars))
    }

    /// Free text with line breaks.
    pub fn lines(&mut self, block: &str, names: Names, max_chars: usize) -> Option<String> {
        self.checked(block, names, |text| multi_line(text, max_chars))
    }

    /// An id of the merchant's own, by which requests are told apart. The folded form does not prove white
    /// space: `a b` could be a captured `a+b`, sent again as something new.
    pub fn key(&mut self, block: &str, names: Names) -> Option<String> {
        let folded = self.policy.folded;
        self.checked(block, names, |text| {
            if folded && text.contains(is_blank) {
                return Err("must not hold white space, which this signature does not protect; use a hyphen"
                    .to_owned());
            }
            single_line(text, KEY_MAX).map_err(|refusal| refusal.to_string())
        })
    }

    /// An address. White space is refused in all of them.
    pub fn url(&mut self, block: &str, names: Names, fragment: bool) -> Option<String> {
        let http_loopback = self.policy.http_loopback;
        self.checked(block, names, |text| web::url::check(text, http_loopback, fragment))
    }

    /// An integer, as a number or as a string of digits.
    pub fn integer(&mut self, block: &str, names: Names, min: i64, max: i64) -> Option<i64> {
        let (path, value) = self.find(block, names)?;
        let number = match value {
            Value::Number(literal) => match Number::of(literal) {
                Number::Int(int) => Some(int),
                Number::Float(_) => None,
            },
            Value::Text(text) => text.parse::<i64>().ok().filter(|int| int.to_string() == *text),
            _ => None,
        };
        let fits = number.filter(|int| (min..=max).contains(int));
        if fits.is_none() {
            let range =
                if max == i64::MAX { format!("of {min} or more") } else { format!("from {min} to {max}") };
            self.refuse(&path, format!("must be an integer {range}"));
        }
        fits
    }

    /// What stands for true in PHP's forms and JSON.
    pub fn truth(&mut self, block: &str, names: Names) -> Option<bool> {
        let (path, value) = self.find(block, names)?;
        let truth = match value {
            Value::Bool(truth) => Some(*truth),
            Value::Number(literal) | Value::Text(literal) => match literal.as_str() {
                "1" | "true" => Some(true),
                "0" | "false" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if truth.is_none() {
            self.refuse(&path, "must be true or false");
        }
        truth
    }

    /// Price and currency of a block, both required, in minor units.
    pub fn money(&mut self, block: &str) -> Option<(i64, Currency)> {
        const PRICE: Names = &["price", "amount"];
        self.require(block, PRICE, "the amount as a string such as \"100.00\"");
        self.require(block, &["currency"], "an ISO 4217 code such as EUR");
        let currency = self.text(block, &["currency"]);
        let currency = currency
            .and_then(|(path, text)| Currency::parse(text).map_err(|error| self.refuse(&path, error)).ok());
        let (path, value) = self.find(block, PRICE)?;
        let price = match value {
            Value::Text(text) => text.clone(),
            // What was signed is the number, not its spelling: 12.320000000000000001 is 12.32.
            Value::Number(literal) => Number::of(literal).text(),
            _ => {
                self.refuse(&path, "must be a decimal number in a string, such as \"100.00\"");
                return None;
            }
        };
        // Without a currency only the form can be judged.
        match parse_major(&price, currency.unwrap_or(Currency::EUR)) {
            Ok(amount) => Some((amount.get(), currency?)),
            Err(error) if currency.is_some() || error == DecimalError::Malformed => {
                self.refuse(&path, error);
                None
            }
            Err(_) => None,
        }
    }
}

/// A member that says something: not null, and not a blank text.
pub(super) fn lookup<'b>(entries: &'b [(String, Value)], name: &str) -> Option<&'b Value> {
    let (_, value) = entries.iter().find(|(key, _)| key == name)?;
    match value {
        Value::Null => None,
        Value::Text(text) if text.trim().is_empty() => None,
        value => Some(value),
    }
}
