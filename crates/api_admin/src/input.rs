//! Reading fields of requests by the rules of this surface. Fields that it does not know are passed over: shops
//! send more than is documented.

use crate::error::{ApiError, dotted};
use domain::Metadata;
use domain::currency::Currency;
use domain::date::parse_instant;
use domain::id::{Core, TypedId};
use domain::money::MAX_AMOUNT;
use domain::network::Network;
use domain::period::Period;
use domain::scope::Mode;
use domain::text::TextRefusal;
use domain::time::{DAY, Timestamp};
use web::params::{MetadataPatch, Reader, Value, codes, echo};

/// Longest address, in bytes.
const URL_MAX: usize = 2_048;
/// Characters of names.
pub(crate) const NAME_MAX: usize = 200;

/// An amount of money: 1 to 999,999,999,999 minor units.
pub(crate) fn amount(reader: &mut Reader<'_>, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(amount) = reader.integer(name, i64::MIN, i64::MAX)? else { return Ok(None) };
    if (1..=MAX_AMOUNT).contains(&amount) {
        return Ok(Some(amount));
    }
    let message =
        format!("{name} must be 1 to {MAX_AMOUNT}, in the currency's smallest unit; it is {amount}.");
    Err(ApiError::unprocessable("amount_out_of_range", message).field(name))
}

pub(crate) fn required<T>(value: Option<T>, name: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| ApiError::invalid(codes::MISSING, format!("{name} is missing.")).field(name))
}

pub(crate) fn currency(reader: &mut Reader<'_>, name: &str) -> Result<Option<Currency>, ApiError> {
    let shown = dotted(&reader.name_of(name));
    let Some(text) = reader.raw_text(name, 20)? else { return Ok(None) };
    let currency = Currency::parse(text).map_err(|e| {
        let message = format!("{shown} {} is not usable: it {e}.", echo(text));
        ApiError::unprocessable("currency_invalid", message).field(&shown)
    })?;
    if let Some(why) = currency.refused_on_v2() {
        return Err(ApiError::unprocessable("currency_not_supported", why).field(&shown));
    }
    Ok(Some(currency))
}

/// An optional id; empty counts as absent.
pub(crate) fn id<T: TypedId>(reader: &mut Reader<'_>, name: &str) -> Result<Option<T>, ApiError> {
    let shown = reader.name_of(name);
    match reader.raw_text(name, 100)? {
        None | Some("") => Ok(None),
        Some(text) => id_of(&shown, text).map(Some),
    }
}

pub(crate) fn id_of<T: TypedId>(name: &str, text: &str) -> Result<T, ApiError> {
    Core::parse_hex(text).map(T::from_core).ok_or_else(|| {
        let message = format!("{name} must be an id of 24 hex digits; it is {}.", echo(text));
        ApiError::invalid("id_invalid", message).field(name)
    })
}

/// An address that we send payers or notices to, if `http_loopback` also to this machine without TLS.
pub(crate) fn url(
    reader: &mut Reader<'_>,
    name: &str,
    http_loopback: bool,
) -> Result<Option<String>, ApiError> {
    let Some(text) = reader.raw_text(name, URL_MAX)? else { return Ok(None) };
    if text.is_empty() {
        return Ok(None);
    }
    domain_url(text, http_loopback)
        .map_err(|why| ApiError::unprocessable("url_invalid", format!("{name} {why}.")).field(name))?;
    Ok(Some(text.to_owned()))
}

fn domain_url(text: &str, http_loopback: bool) -> Result<(), String> {
    // What stands in braces is filled in later by ids, which need no encoding.
    web::url::check(&text.replace(['{', '}'], "_"), http_loopback, true)
}

/// A text in a change that cannot be taken away: absent leaves it, empty and null are refused.
pub(crate) fn changed_text(
    reader: &mut Reader<'_>,
    name: &str,
    max_chars: usize,
) -> Result<Option<String>, ApiError> {
    let sent = reader.was_sent(name);
    let text = reader.text(name, max_chars)?;
    if sent && text.is_none() {
        let message = format!("{name} cannot be empty. Leave it out to keep it as it is.");
        return Err(ApiError::invalid(codes::INVALID_EMPTY, message).field(name));
    }
    Ok(text)
}

pub(crate) fn email(reader: &mut Reader<'_>, name: &str) -> Result<Option<String>, ApiError> {
    let Some(text) = reader.text(name, 254)? else { return Ok(None) };
    let text = text.trim().to_owned();
    domain::text::email(&text).map_err(|refusal: TextRefusal| {
        ApiError::unprocessable("email_invalid", format!("{name} {refusal}.")).field(name)
    })?;
    Ok(Some(text))
}

/// `credential`: what an authenticator answered, as the browser writes it. Its form is for the verifier to judge.
pub(crate) fn credential(reader: &mut Reader<'_>) -> Result<serde_json::Value, ApiError> {
    required(reader.value("credential").map(as_json), "credential")
}

fn as_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        // A literal of JSON, as it was sent.
        Value::Number(literal) => serde_json::from_str(literal).unwrap_or_default(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(as_json).collect(),
        Value::Map(entries) => entries.iter().map(|(name, value)| (name.clone(), as_json(value))).collect(),
    }
}

/// Metadata of a new object.
pub(crate) fn new_metadata(reader: &mut Reader<'_>) -> Result<Metadata, ApiError> {
    let mut metadata = Metadata::new();
    if let Some(patch) = reader.metadata("metadata")? {
        patch.apply(&mut metadata)?;
    }
    Ok(metadata)
}

/// A change of metadata, as the engine takes it.
pub(crate) fn metadata_change(
    patch: MetadataPatch,
) -> impl Fn(&mut Metadata) -> Result<(), engine::Error> + Send + 'static {
    move |metadata| {
        patch.apply(metadata).map_err(|e| engine::Error::Invalid {
            param: Some("metadata".to_owned()),
            code: e.code,
            message: e.message,
        })
    }
}

/// An instant: ISO 8601.
pub(crate) fn instant(reader: &mut Reader<'_>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let Some(text) = reader.raw_text(name, 64)? else { return Ok(None) };
    if text.is_empty() {
        return Ok(None);
    }
    // A date stands for its beginning.
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    parse_instant(&whole).map(Some).ok_or_else(|| {
        let message = format!(
            "{name} must be an ISO 8601 instant such as 2026-01-31T12:00:00Z, or a date; it is {}.",
            echo(text)
        );
        ApiError::invalid("instant_invalid", message).field(name)
    })
}

/// Which end of a period a parameter names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Start,
    /// A date stands for its end: the day is included. An instant is not.
    End,
}

/// One end of a period: a date, or an instant by ISO 8601.
pub(crate) fn side(reader: &mut Reader<'_>, name: &str, side: Side) -> Result<Option<Timestamp>, ApiError> {
    let at = instant(reader, name)?;
    let is_date = reader.raw_text(name, 64)?.is_some_and(|text| text.len() == 10);
    Ok(at.map(|at| if is_date && side == Side::End { at.plus(DAY) } else { at }))
}

/// A period that `from` and `to` name.
pub(crate) fn period(from: Timestamp, until: Timestamp) -> Result<Period, ApiError> {
    Period::new(from, until)
        .map_err(|why| ApiError::invalid("period_invalid", format!("from and to: {why}.")).field("to"))
}

pub(crate) fn mode(reader: &mut Reader<'_>, name: &str) -> Result<Option<Mode>, ApiError> {
    let word = reader.one_of(name, &["test", "live"])?;
    Ok(word.and_then(Mode::parse))
}

/// A list of networks: addresses, or ranges with a prefix length.
pub(crate) fn networks(
    reader: &mut Reader<'_>,
    name: &str,
    max: usize,
) -> Result<Option<Vec<Network>>, ApiError> {
    let Some(texts) = reader.texts(name, max, 100)? else { return Ok(None) };
    let parsed = texts.iter().map(|text| {
        Network::parse(text).map_err(|e| {
            let message = format!("{name} holds {}: {e}.", echo(text));
            ApiError::unprocessable("network_invalid", message).field(name)
        })
    });
    parsed.collect::<Result<Vec<_>, _>>().map(Some)
}
