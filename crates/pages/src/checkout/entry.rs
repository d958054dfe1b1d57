//! What a payer typed into the forms, and what is wrong with it. The script of the page checks by the same
//! rules before anything is sent; without it, or with another client, these alone decide.

use domain::bank::{Iban, IbanError};
use domain::card::{Brand, CardNumber, Expiry, luhn};
use domain::text;

use super::messages::Messages;
use super::rich;

const MAX_NAME: usize = 200;
/// Bytes of any field that are read. The longest honest one is a name.
const MAX_FIELD: usize = 1_000;
const MIN_CARD_DIGITS: usize = 12;

/// A scheme as payers know it: those of [`Brand`], and Maestro, whose numbers have no scheme of their own there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardBrand {
    Known(Brand),
    Maestro,
}

impl CardBrand {
    /// The scheme of a number that starts with these digits.
    pub fn of(digits: &str) -> CardBrand {
        // UnionPay shares a range with Maestro and comes first.
        match Brand::of(digits) {
            Brand::Unknown if is_maestro(digits) => CardBrand::Maestro,
            brand => CardBrand::Known(brand),
        }
    }

    /// The name on the card.
    pub const fn name(self) -> &'static str {
        match self {
            CardBrand::Known(Brand::Visa) => "Visa",
            CardBrand::Known(Brand::Mastercard) => "Mastercard",
            CardBrand::Known(Brand::Amex) => "American Express",
            CardBrand::Known(Brand::Discover) => "Discover",
            CardBrand::Known(Brand::Diners) => "Diners Club",
            CardBrand::Known(Brand::Jcb) => "JCB",
            CardBrand::Known(Brand::Unionpay) => "UnionPay",
            CardBrand::Maestro => "Maestro",
            CardBrand::Known(Brand::Unknown) => "",
        }
    }

    /// The word for it in the page's markup.
    pub(super) const fn word(self) -> &'static str {
        match self {
            CardBrand::Known(Brand::Unknown) => "",
            CardBrand::Known(brand) => brand.as_str(),
            CardBrand::Maestro => "maestro",
        }
    }

    const fn has_length(self, digits: usize) -> bool {
        match self {
            CardBrand::Known(Brand::Unknown) | CardBrand::Maestro => matches!(digits, MIN_CARD_DIGITS..=19),
            CardBrand::Known(brand) => brand.has_length(digits),
        }
    }

    /// The page asks for the four digits of American Express: a card at hand has them on its front.
    fn code_fits(self, code: &str) -> bool {
        match self {
            CardBrand::Known(Brand::Amex) => code.len() == 4 && Brand::Amex.cvc_fits(code),
            CardBrand::Known(brand) => brand.cvc_fits(code),
            CardBrand::Maestro => code.len() == 3 && Brand::Unknown.cvc_fits(code),
        }
    }
}

fn is_maestro(digits: &str) -> bool {
    const STARTS: [&str; 9] = ["5018", "5020", "5038", "5893", "6304", "6759", "6761", "6762", "6763"];
    STARTS.iter().any(|start| digits.starts_with(start))
}

/// The fields of the forms, as typed. Shown again after a refusal, but for the security code.
#[derive(Clone, Copy, Default)]
pub struct Entered<'a> {
    pub number: &'a str,
    /// Month and year.
    pub expiry: &'a str,
    pub code: &'a str,
    /// On the card, or of the account.
    pub name: &'a str,
    pub iban: &'a str,
    pub email: &'a str,
}

/// The account whose debits the sandbox pays.
pub(super) const TEST_ACCOUNT: &str = "DE89 3704 0044 0532 0130 00";

/// What is wrong with one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    NumberEmpty,
    NumberIncomplete,
    NumberWrong,
    NumberUnsupported(CardBrand),
    /// Right in itself, but test mode takes test cards only.
    NumberNotTest,
    ExpiryFormat,
    ExpiryMonth,
    ExpiryPast,
    /// Three digits are wanted.
    Code3,
    /// Four digits are wanted.
    Code4,
    NameEmpty,
    IbanEmpty,
    IbanFormat,
    IbanCountry,
    /// The number of characters that the country's accounts have.
    IbanLength(usize),
    IbanCheck,
    /// Right in itself, but test mode takes test accounts only.
    IbanNotTest,
    EmailWrong,
}

impl Problem {
    /// The sentence for the payer, as HTML.
    pub(super) fn sentence(self, m: &Messages) -> String {
        let text = match self {
            Problem::NumberEmpty => m.number_empty,
            Problem::NumberIncomplete => m.number_incomplete,
            Problem::NumberWrong => m.number_wrong,
            Problem::NumberUnsupported(brand) => {
                return rich::sentence(m.number_unsupported, &[("brand", brand.name())]);
            }
            Problem::NumberNotTest => {
                return format!("{} {}", rich::sentence(m.test_mode, &[]), rich::sentence(m.test_hint, &[]));
            }
            Problem::ExpiryFormat => m.expiry_format,
            Problem::ExpiryMonth => m.expiry_month,
            Problem::ExpiryPast => m.expiry_past,
            Problem::Code3 => m.code3,
            Problem::Code4 => m.code4,
            Problem::NameEmpty => m.name_empty,
            Problem::IbanEmpty => m.iban_empty,
            Problem::IbanFormat => m.iban_format,
            Problem::IbanCountry => m.iban_country,
            Problem::IbanLength(n) => return rich::sentence(m.iban_length, &[("n", &n.to_string())]),
            Problem::IbanCheck => m.iban_check,
            Problem::IbanNotTest => {
                let accounts = format!("{}: {{account}}", m.test_accounts);
                let accounts = rich::sentence(&accounts, &[("account", TEST_ACCOUNT)]);
                return format!("{} {accounts}", rich::sentence(m.test_mode, &[]));
            }
            Problem::EmailWrong => m.email_wrong,
        };
        rich::sentence(text, &[])
    }
}

/// The problems of a form, at most one a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Problems {
    pub number: Option<Problem>,
    pub expiry: Option<Problem>,
    pub code: Option<Problem>,
    pub name: Option<Problem>,
    pub iban: Option<Problem>,
    pub email: Option<Problem>,
}

impl Problems {
    pub fn is_empty(&self) -> bool {
        *self == Problems::default()
    }

    /// Whether the payer is told to use what the sandbox offers.
    pub(super) fn want_test_data(&self) -> bool {
        self.number == Some(Problem::NumberNotTest) || self.iban == Some(Problem::IbanNotTest)
    }
}

/// A card that can be asked about. The security code is the caller's to pass on, from what was entered.
#[derive(Debug)]
pub struct CheckedCard {
    pub number: CardNumber,
    pub expiry: Expiry,
}

/// Checks the card form. `now` is the year and month in UTC; `accepts` says which schemes are taken, and is
/// asked about known ones only.
///
/// # Errors
/// Every field's problem, for the form to be shown again.
pub fn check_card(
    entered: &Entered<'_>,
    now: (u16, u8),
    accepts: impl Fn(CardBrand) -> bool,
) -> Result<CheckedCard, Problems> {
    let digits: String = bounded(entered.number).chars().filter(char::is_ascii_digit).collect();
    let brand = CardBrand::of(&digits);
    let number = number_of(entered.number, &digits, brand, accepts);
    let expiry = expiry_of(entered.expiry, now);
    let problems = Problems {
        number: number.as_ref().err().copied(),
        expiry: expiry.as_ref().err().copied(),
        code: code_problem(entered.code, brand),
        name: name_problem(entered.name),
        ..Problems::default()
    };
    match (number, expiry) {
        (Ok(number), Ok(expiry)) if problems.is_empty() => Ok(CheckedCard { number, expiry }),
        _ => Err(problems),
    }
}

/// Checks the form of a bank debit. The e-mail address is asked for when `needs_email` is set.
///
/// # Errors
/// Every field's problem, for the form to be shown again.
pub fn check_bank(entered: &Entered<'_>, needs_email: bool) -> Result<Iban, Problems> {
    let iban = iban_of(entered.iban);
    let email = needs_email && text::email(entered.email.trim()).is_err();
    let problems = Problems {
        iban: iban.as_ref().err().copied(),
        name: name_problem(entered.name),
        email: email.then_some(Problem::EmailWrong),
        ..Problems::default()
    };
    match iban {
        Ok(iban) if problems.is_empty() => Ok(iban),
        _ => Err(problems),
    }
}

/// The whole text, or nothing of one that no payer types.
fn bounded(text: &str) -> &str {
    if text.len() > MAX_FIELD { "" } else { text.trim() }
}

fn number_of(
    typed: &str,
    digits: &str,
    brand: CardBrand,
    accepts: impl Fn(CardBrand) -> bool,
) -> Result<CardNumber, Problem> {
    if typed.trim().is_empty() {
        return Err(Problem::NumberEmpty);
    }
    if !bounded(typed).chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-')) {
        return Err(Problem::NumberWrong);
    }
    let known = brand != CardBrand::Known(Brand::Unknown);
    if known && !accepts(brand) {
        return Err(Problem::NumberUnsupported(brand));
    }
    if !brand.has_length(digits.len()) {
        let may_grow = (digits.len()..=19).any(|length| brand.has_length(length));
        return Err(if may_grow { Problem::NumberIncomplete } else { Problem::NumberWrong });
    }
    if !luhn(digits) {
        return Err(Problem::NumberWrong);
    }
    CardNumber::parse(digits).map_err(|_| Problem::NumberWrong)
}

fn expiry_of(typed: &str, now: (u16, u8)) -> Result<Expiry, Problem> {
    let (month, year) = month_and_year(bounded(typed)).ok_or(Problem::ExpiryFormat)?;
    if !(1..=12).contains(&month) {
        return Err(Problem::ExpiryMonth);
    }
    match Expiry::check(month, year, now) {
        Ok(expiry) => Ok(expiry),
        Err(domain::card::ExpiryError::Month) => Err(Problem::ExpiryMonth),
        Err(domain::card::ExpiryError::Year) => Err(Problem::ExpiryFormat),
        Err(domain::card::ExpiryError::Expired) => Err(Problem::ExpiryPast),
    }
}

/// `12/27`, `12 / 2027`, `12-27`, `1227`, `122027`.
fn month_and_year(typed: &str) -> Option<(i64, i64)> {
    let (month, year) = match typed.split_once(['/', '-', '.']) {
        Some((month, year)) => (month.trim(), year.trim()),
        None => typed.split_at_checked(2).map(|(month, year)| (month, year.trim()))?,
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = matches!(month.len(), 1 | 2) && matches!(year.len(), 2 | 4) && digits(month) && digits(year);
    if fits { Some((month.parse().ok()?, year.parse().ok()?)) } else { None }
}

fn code_problem(typed: &str, brand: CardBrand) -> Option<Problem> {
    if brand.code_fits(bounded(typed)) {
        return None;
    }
    Some(if brand == CardBrand::Known(Brand::Amex) { Problem::Code4 } else { Problem::Code3 })
}

fn name_problem(typed: &str) -> Option<Problem> {
    let name = bounded(typed);
    (name.is_empty() || text::single_line(name, MAX_NAME).is_err()).then_some(Problem::NameEmpty)
}

fn iban_of(typed: &str) -> Result<Iban, Problem> {
    if typed.trim().is_empty() {
        return Err(Problem::IbanEmpty);
    }
    Iban::parse(bounded(typed)).map_err(|error| match error {
        IbanError::Format => Problem::IbanFormat,
        IbanError::Country => Problem::IbanCountry,
        IbanError::Length { expected } => Problem::IbanLength(expected),
        IbanError::Checksum => Problem::IbanCheck,
    })
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
