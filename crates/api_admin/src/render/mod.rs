//! Objects as JSON: camelCase, ids of 24 hex digits, instants as ISO 8601, amounts in minor units.

mod audit;
mod checkouts;
mod clients;
pub(crate) mod export_table;
mod figures;
mod offboarding;
mod people;
mod transactions;

pub(crate) use audit::{AuditWriter, audit_entry};
pub(crate) use checkouts::{checkout, public_checkout};
pub(crate) use clients::{client, client_history};
pub(crate) use figures::figures;
pub(crate) use offboarding::offboarding_preview;
pub(crate) use people::{invite, member, passkey, person, signed_in};
pub(crate) use transactions::{public_transaction, transaction, transaction_with_timeline};

use domain::access::Grant;
use domain::admin_key::AdminKey;
use domain::currency::Currency;
use domain::date::iso_micros;
use domain::id::TypedId;
use domain::merchant::{Merchant, Provider};
use domain::site::Site;
use domain::time::Timestamp;
use engine::ConnectorProfile;
use serde_json::{Map, Value, json};

pub(crate) fn hex(id: impl TypedId) -> String {
    id.core().hex()
}

pub(crate) fn instant(at: Timestamp) -> Value {
    json!(iso_micros(at))
}

pub(crate) fn optional_instant(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, instant)
}

pub(crate) fn currency(currency: Currency) -> &'static str {
    currency.code()
}

/// Hundredths of a percent as a number of percent. Text in between, so that 7.25 stays 7.25.
fn rate(hundredths: i64) -> Value {
    let text = match (hundredths / 100, hundredths % 100) {
        (whole, 0) => whole.to_string(),
        (whole, part) if part % 10 == 0 => format!("{whole}.{}", part / 10),
        (whole, part) => format!("{whole}.{part:02}"),
    };
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

pub(crate) fn map(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>())
}

pub(crate) fn organization(merchant: &Merchant) -> Value {
    json!({
        "id": hex(merchant.id),
        "name": merchant.name,
        "supportEmail": Some(&merchant.profile.email).filter(|email| !email.is_empty()),
        "status": merchant.status(),
        "offboarding": merchant.offboarding.as_ref().map(|o| json!({
            "startedAt": instant(o.started_at),
            "endsAt": instant(o.ends_at),
            "reason": o.reason,
            "acceptBalances": o.accepts_balances,
            "closedAt": optional_instant(o.closed_at),
        })),
        "createdAt": instant(merchant.created_at),
    })
}

fn scopes(grants: &[Grant]) -> Vec<String> {
    grants.iter().map(ToString::to_string).collect()
}

/// A key without its secret, which is stored nowhere.
pub(crate) fn api_key(key: &AdminKey) -> Value {
    let networks: Vec<String> = key.networks.iter().map(ToString::to_string).collect();
    json!({
        "id": hex(key.id),
        "organizationId": key.merchant.map(hex),
        "mode": key.mode,
        "name": key.name,
        "prefix": format!("sk_{}_{}", key.mode, hex(key.id)),
        "last4": key.last4,
        "scopes": scopes(&key.grants),
        "ipWhitelist": networks,
        "status": if key.revoked_at.is_some() { "revoked" } else { "active" },
        "createdBy": key.created_by,
        "createdAt": instant(key.created_at),
        "lastUsedAt": optional_instant(key.last_used_at),
        "revokedAt": optional_instant(key.revoked_at),
        "oldSecretUntil": optional_instant(key.old_until),
    })
}

/// The same with the key's text: at its creation and rotation, and never again.
pub(crate) fn api_key_with_text(key: &AdminKey, text: &str) -> Value {
    let mut value = api_key(key);
    value["key"] = json!(text);
    value
}

pub(crate) fn site(site: &Site) -> Value {
    let (storefront, facet) = (&site.storefront, &site.facet);
    json!({
        "id": hex(storefront.id),
        "name": storefront.name,
        "url": Some(&storefront.url).filter(|url| !url.is_empty()),
        "status": storefront.status,
        "providerIds": facet.providers.iter().map(|id| hex(*id)).collect::<Vec<_>>(),
        "defaultProviderId": facet.default_provider.map(hex),
        "branding": { "logo": facet.branding.logo, "primaryColor": facet.branding.primary_color },
        "ipnVersion": facet.ipn_version,
        "mode": storefront.scope.mode,
        "createdAt": instant(storefront.created_at),
        "updatedAt": instant(storefront.updated_at),
    })
}

/// The same with the secret of its notices: when it was made, and never again.
pub(crate) fn site_with_secret(of: &Site, secret: &str) -> Value {
    let mut value = site(of);
    value["webhookSecret"] = json!(secret);
    value
}

pub(crate) fn provider(p: &Provider) -> Value {
    let check = p.check.as_ref().map(
        |check| json!({ "ok": check.error.is_none(), "error": check.error, "checkedAt": instant(check.at) }),
    );
    json!({
        "id": hex(p.id),
        "type": p.connector,
        "label": p.name,
        "config": map(&p.shown),
        "enabled": p.enabled,
        "status": if p.enabled { "enabled" } else { "disabled" },
        "mode": p.scope.mode,
        "lastTest": check,
        "createdAt": instant(p.created_at),
        "updatedAt": instant(p.updated_at),
    })
}

/// A kind of provider, with what it needs to be set up.
pub(crate) fn provider_kind(name: &str, profile: &ConnectorProfile) -> Value {
    let fields: Vec<Value> = profile
        .fields
        .iter()
        .map(|f| json!({ "name": f.name, "secret": f.secret, "required": f.required, "help": f.help }))
        .collect();
    json!({ "type": name, "title": profile.title, "live": profile.live, "config": fields })
}
