use super::checkouts::language;
use crate::error::{ApiError, dotted};
use crate::input;
use crate::render::currency;
use crate::request::{Answer, Scoped};
use domain::currency::Currency;
use domain::money::MAX_AMOUNT;
use domain::settings_group::{CURRENCIES_MAX, EXPIRES_IN_S, MAX_ATTEMPTS, RefundSettings, SettingsGroup};
use engine::settings_groups::GroupSettings;
use serde_json::{Value, json};
use web::params::Reader;

fn group(request: &Scoped) -> Result<SettingsGroup, ApiError> {
    let text = request.path.first().map_or("", String::as_str);
    SettingsGroup::parse(text).ok_or_else(|| {
        let known: Vec<&str> = SettingsGroup::ALL.iter().map(|g| g.as_str()).collect();
        let mut error = ApiError::not_found("group of settings", text);
        error.message = format!("There is no such group of settings. There are: {}.", known.join(", "));
        error
    })
}

fn shown(settings: &GroupSettings) -> Value {
    match settings {
        GroupSettings::Checkout(s) => {
            json!({ "group": "checkout", "expiresIn": s.expires_in, "maxAttempts": s.max_attempts, "language": s.language })
        }
        GroupSettings::Ipn(s) => json!({ "group": "ipn", "version": s.version }),
        GroupSettings::Refunds(s) => {
            let own =
                |(of, above): &(Currency, i64)| json!({ "currency": currency(*of), "confirmAbove": above });
            let currencies: Vec<Value> = s.currencies.iter().map(own).collect();
            json!({ "group": "refunds", "confirmAbove": s.confirm_above, "currencies": currencies })
        }
    }
}

pub(crate) async fn get(request: Scoped) -> Result<Answer, ApiError> {
    let group = group(&request)?;
    Answer::ok(shown(&request.engine().group_settings(request.scope, group).await?))
}

/// What the body does not name stays as it is.
pub(crate) async fn update(request: Scoped) -> Result<Answer, ApiError> {
    let (scope, by) = (request.scope, request.by());
    let mut reader = request.params.reader();
    let changed = match group(&request)? {
        SettingsGroup::Checkout => {
            let expires_in = reader.integer("expiresIn", EXPIRES_IN_S.0, EXPIRES_IN_S.1)?;
            let max_attempts = reader.integer("maxAttempts", MAX_ATTEMPTS.0, MAX_ATTEMPTS.1)?;
            let sent = reader.was_sent("language");
            let language = language(&mut reader)?;
            let change = move |s: &mut domain::settings_group::CheckoutSettings| {
                s.expires_in = expires_in.unwrap_or(s.expires_in);
                s.max_attempts = max_attempts.unwrap_or(s.max_attempts);
                if sent {
                    s.language.clone_from(&language);
                }
            };
            request.engine().change_checkout_settings(scope, by, change).await?
        }
        SettingsGroup::Ipn => {
            let version = reader.integer("version", 1, 2)?;
            let change = move |s: &mut domain::settings_group::IpnSettings| {
                s.version = version.unwrap_or(s.version);
            };
            request.engine().change_ipn_settings(scope, by, change).await?
        }
        SettingsGroup::Refunds => {
            // Or whoever finds a session open would lift the bound first.
            request.require_fresh_login()?;
            let sent = reader.was_sent("confirmAbove");
            let above = reader.integer("confirmAbove", 0, MAX_AMOUNT)?;
            let currencies = bounds(&mut reader)?;
            let change = move |s: &mut RefundSettings| {
                if sent {
                    s.confirm_above = above;
                }
                if let Some(currencies) = &currencies {
                    s.currencies.clone_from(currencies);
                }
            };
            request.engine().change_refund_settings(scope, by, change).await?
        }
    };
    Answer::ok(shown(&changed))
}

/// The currencies that have a bound of their own; null takes all away.
fn bounds(reader: &mut Reader<'_>) -> Result<Option<Vec<(Currency, i64)>>, ApiError> {
    let sent = reader.was_sent("currencies");
    let Some(rows) = reader.objects("currencies", CURRENCIES_MAX)? else { return Ok(sent.then(Vec::new)) };
    let mut bounds: Vec<(Currency, i64)> = Vec::with_capacity(rows.len());
    for mut row in rows {
        let of = input::currency(&mut row, "currency")?.ok_or_else(|| row.missing("currency"))?;
        if bounds.iter().any(|(known, _)| *known == of) {
            let name = dotted(&row.name_of("currency"));
            let message = format!("{name} is {of}, which is in the list twice.");
            return Err(ApiError::invalid("currency_twice", message).field(&name));
        }
        let above = row.integer("confirmAbove", 0, MAX_AMOUNT)?;
        bounds.push((of, above.ok_or_else(|| row.missing("confirmAbove"))?));
    }
    Ok(Some(bounds))
}
