//! Parameters that several nouns share.

use crate::error::ApiError;
use domain::Metadata;
use domain::card::{CardError, CardNumber, Expiry, ExpiryError};
use domain::currency::Currency;
use domain::customer::{Address, Shipping};
use domain::date::year_and_month;
use domain::outcome::Decline;
use domain::payment_method::BillingDetails;
use engine::Error;
use std::net::Ipv6Addr;
use web::params::{MetadataPatch, Patch, Reader};

const LINE: usize = 255;
const URL_MAX: usize = 2_048;

/// The outer `Option` says whether the parameter was there.
pub fn patched<T>(patch: Patch<T>) -> Option<Option<T>> {
    match patch {
        Patch::Absent => None,
        Patch::Unset => Some(None),
        Patch::Set(value) => Some(Some(value)),
    }
}

pub fn address(reader: &mut Reader<'_>, name: &str) -> Result<Option<Address>, ApiError> {
    let Some(mut r) = reader.object(name)? else { return Ok(None) };
    let address = read_address(&mut r)?;
    r.finish()?;
    Ok(Some(address))
}

fn read_address(r: &mut Reader<'_>) -> Result<Address, ApiError> {
    let country = r.text("country", 2)?;
    if let Some(code) = &country
        && (code.len() != 2 || !code.bytes().all(|b| b.is_ascii_uppercase()))
    {
        let message = "country must be a two-letter ISO 3166 code in capitals, for example DE.";
        return Err(r.invalid("country", "country_code_invalid", message).into());
    }
    Ok(Address {
        line1: r.text("line1", LINE)?,
        line2: r.text("line2", LINE)?,
        city: r.text("city", LINE)?,
        state: r.text("state", LINE)?,
        postal_code: r.text("postal_code", 40)?,
        country,
    })
}

pub fn patch_address(reader: &mut Reader<'_>, name: &str) -> Result<Option<Option<Address>>, ApiError> {
    match reader.patch_object(name)? {
        Patch::Absent => Ok(None),
        Patch::Unset => Ok(Some(None)),
        Patch::Set(mut r) => {
            let address = read_address(&mut r)?;
            r.finish()?;
            Ok(Some(Some(address)))
        }
    }
}

pub fn patch_shipping(reader: &mut Reader<'_>, name: &str) -> Result<Option<Option<Shipping>>, ApiError> {
    let mut r = match reader.patch_object(name)? {
        Patch::Absent => return Ok(None),
        Patch::Unset => return Ok(Some(None)),
        Patch::Set(r) => r,
    };
    let shipping = Shipping {
        name: r.text("name", LINE)?,
        phone: r.text("phone", 40)?,
        carrier: r.text("carrier", LINE)?,
        tracking_number: r.text("tracking_number", LINE)?,
        address: address(&mut r, "address")?.unwrap_or_default(),
    };
    r.finish()?;
    Ok(Some(Some(shipping)))
}

/// A currency that this surface takes.
pub fn currency(r: &mut Reader<'_>) -> Result<Option<Currency>, ApiError> {
    let Some(text) = r.raw_text("currency", 64)? else { return Ok(None) };
    let currency = Currency::parse(text)
        .map_err(|e| r.invalid("currency", "currency_invalid", format!("currency {e}.")))?;
    if let Some(reason) = currency.refused_on_v2() {
        return Err(r.invalid("currency", "currency_not_supported", reason.to_owned()).into());
    }
    Ok(Some(currency))
}

/// An e-mail address.
pub fn email(reader: &mut Reader<'_>, name: &str) -> Result<Option<Option<String>>, ApiError> {
    let patch = patched(reader.patch_text(name, domain::text::MAX_EMAIL)?);
    if let Some(Some(text)) = &patch
        && let Err(refusal) = domain::text::email(text)
    {
        return Err(reader
            .invalid(name, "email_invalid", format!("{} {refusal}.", reader.name_of(name)))
            .into());
    }
    Ok(patch)
}

/// A full `http://` or `https://` address; the empty string is `None`. Where it may lead is the caller's
/// rule. What parsers read in different ways is refused: with it, a check sees one host and a browser
/// goes to another.
pub fn web_address(reader: &mut Reader<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = reader.raw_text(name, URL_MAX)? else { return Ok(None) };
    let refuse = |why: String| {
        Err(reader.invalid(name, "url_invalid", format!("{} {why}", reader.name_of(name))).into())
    };
    if let Err(refusal) = domain::text::single_line(text, URL_MAX) {
        return refuse(format!("{refusal}."));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let scheme_fits = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = !text.contains(|c: char| c.is_whitespace() || c == '\\');
    if scheme_fits && plain && is_host_and_port(authority) {
        return Ok(Some(text.to_owned()));
    }
    refuse(
        "must be a full https:// (or http://) address without a user name, spaces or backslashes, such as \
         https://shop.example/back. Write an international host name in its xn-- form."
            .to_owned(),
    )
}

fn is_host_and_port(authority: &str) -> bool {
    let (host_fits, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((ip, port)) => (ip.parse::<Ipv6Addr>().is_ok(), port),
            None => return false,
        },
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (host.split('.').all(is_label), port)
        }
    };
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok(),
        None => port.is_empty(),
    };
    host_fits && port_fits
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

pub fn billing_details(reader: &mut Reader<'_>) -> Result<Option<BillingDetails>, ApiError> {
    let Some(mut r) = reader.object("billing_details")? else { return Ok(None) };
    let billing = BillingDetails {
        address: address(&mut r, "address")?,
        email: email(&mut r, "email")?.flatten(),
        name: r.text("name", LINE)?,
        phone: r.text("phone", 40)?,
    };
    r.ignore("tax_id");
    r.finish()?;
    Ok(Some(billing))
}

/// What a request says about metadata, as the engine wants it.
pub fn metadata(
    reader: &mut Reader<'_>,
) -> Result<impl Fn(&mut Metadata) -> Result<(), Error> + Send + 'static, ApiError> {
    let patch: Option<MetadataPatch> = reader.metadata("metadata")?;
    Ok(move |current: &mut Metadata| match &patch {
        None => Ok(()),
        Some(patch) => patch.apply(current).map_err(|e| Error::Invalid {
            param: e.param,
            code: e.code,
            message: e.message,
        }),
    })
}

/// Metadata of a new object.
pub fn new_metadata(reader: &mut Reader<'_>) -> Result<Metadata, ApiError> {
    let mut pairs = Metadata::new();
    metadata(reader)?(&mut pairs)?;
    Ok(pairs)
}

/// A wrong card field: 402, as clients of card forms expect.
fn card_field(param: &'static str, code: &str, message: String) -> ApiError {
    let decline =
        Decline { code: code.to_owned(), decline_code: None, message, reached_issuer: false, blocked: false };
    crate::error::card_error(&decline, Some(param))
}

/// A card as it was typed.
pub struct TypedCard {
    pub number: CardNumber,
    pub expiry: Expiry,
    pub has_cvc: bool,
}

/// A month or year as card forms send it: `08` and `8`, text and number.
fn part_of_date(r: &mut Reader<'_>, name: &str) -> Result<i64, ApiError> {
    if let Ok(Some(text)) = r.raw_text(name, 8)
        && text.bytes().all(|b| b.is_ascii_digit())
        && let Ok(number) = text.parse()
    {
        return Ok(number);
    }
    Ok(r.required_integer(name, -1, 99_999)?)
}

/// Reads `card[number]`, `card[exp_month]`, `card[exp_year]` and `card[cvc]`. None of it is echoed,
/// logged or stored; the security code is checked for its shape and dropped here.
pub fn typed_card(r: &mut Reader<'_>, now: domain::time::Timestamp) -> Result<TypedCard, ApiError> {
    let number = match r.raw_text("number", 64)? {
        Some(text) if !text.is_empty() => CardNumber::parse(text).map_err(|e| match e {
            CardError::NotDigits | CardError::Length => card_field(
                "card[number]",
                "invalid_number",
                "The card number is not a valid credit card number.".to_owned(),
            ),
            CardError::Luhn => {
                card_field("card[number]", "incorrect_number", "Your card number is incorrect.".to_owned())
            }
        })?,
        _ => return Err(r.missing("number").into()),
    };
    let month = part_of_date(r, "exp_month")?;
    let year = part_of_date(r, "exp_year")?;
    let expiry = Expiry::check(month, year, year_and_month(now)).map_err(|e| match e {
        ExpiryError::Month => card_field(
            "card[exp_month]",
            "invalid_expiry_month",
            "Your card's expiration month is invalid: it must be from 1 to 12.".to_owned(),
        ),
        ExpiryError::Year | ExpiryError::Expired => card_field(
            "card[exp_year]",
            "invalid_expiry_year",
            "Your card's expiration year is invalid or in the past.".to_owned(),
        ),
    })?;
    let has_cvc = match r.raw_text("cvc", 16)? {
        None | Some("") => false,
        Some(cvc) if number.brand().cvc_fits(cvc) => true,
        Some(_) => {
            return Err(card_field(
                "card[cvc]",
                "invalid_cvc",
                "Your card's security code is invalid: it has 3 digits, or 4 on American Express.".to_owned(),
            ));
        }
    };
    r.ignore("networks");
    Ok(TypedCard { number, expiry, has_cvc })
}
