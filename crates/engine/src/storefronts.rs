//! Storefronts, their Gate tokens and webhooks, as an operator sets them.

use crate::Engine;
use crate::error::Error;
use crate::ids;
use crate::offboarding::require_staying;
use domain::Metadata;
use domain::audit::AuditKind;
use domain::gate_token::{GateToken, PayloadDialect, SignVariant, TOKENS_MAX};
use domain::id::{DeliveryId, GateTokenId, StorefrontId, WebhookEndpointId};
use domain::limits::WEBHOOK_ENDPOINTS;
use domain::money::MAX_AMOUNT;
use domain::scope::Scope;
use domain::site::SiteFacet;
use domain::storefront::{REQUEST_EXPIRATION_MAX_S, Storefront, TEMPLATE_NAMES};
use domain::webhook::{DeliveryKind, DeliveryStatus, EndpointKind, EndpointStatus, WebhookEndpoint};
use store::webhooks::Callback;
use store::{Tx, Wake};

/// The most tries on one payment page that can be set.
const ATTEMPTS_LIMIT: i64 = 20;
/// Longest address that can be set, in bytes.
const URL_MAX: usize = 2_048;
/// Characters of a value in the audit log.
const AUDITED_CHARS: usize = 100;
/// Random characters of a token's secret: 238 bits.
const SECRET_CHARS: usize = 40;

pub(crate) fn token_context(id: GateTokenId) -> String {
    format!("gate_tokens.secret.{id}")
}

impl Engine {
    /// Every storefront of every merchant, by its integer. For the operator's commands.
    pub async fn storefronts(&self) -> Result<Vec<Storefront>, Error> {
        self.store.read(|tx| Ok::<_, Error>(store::storefronts::all(tx)?)).await
    }

    /// A storefront by its integer.
    pub async fn storefront(&self, number: i64) -> Result<Storefront, Error> {
        self.store.read(move |tx| by_number(tx, number)).await
    }

    /// What is set for a storefront, by the names of the command's flags. An empty `fee-group`: the merchant's.
    pub async fn storefront_settings(&self, number: i64) -> Result<Vec<(&'static str, String)>, Error> {
        self.store
            .read(move |tx| {
                let storefront = by_number(tx, number)?;
                settings(tx, &storefront)
            })
            .await
    }

    /// Adds a storefront to a merchant's mode.
    pub async fn create_storefront(&self, scope: Scope, name: String) -> Result<Storefront, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                if store::merchants::mode(tx, scope)?.is_none() {
                    return Err(Error::not_found("merchant", scope.merchant));
                }
                require_staying(tx, scope.merchant)?;
                let storefront = Storefront::new(engine.ids.next(), scope, name.clone(), engine.now());
                let number = store::storefronts::insert(tx, &storefront)?;
                store::sites::insert(tx, &SiteFacet::new(storefront.id, scope))?;
                engine.audit_storefront(
                    tx,
                    AuditKind::SettingsChanged,
                    &storefront,
                    "a service was made".to_owned(),
                )?;
                Ok(Storefront { number, ..storefront })
            })
            .await
    }

    /// Changes what is set for a storefront. In force within a second.
    ///
    /// # Errors
    /// No such storefront or fee group; a value out of its bounds, by the name of its flag.
    pub async fn change_storefront(
        &self,
        number: i64,
        fee_group: Option<String>,
        change: impl Fn(&mut Storefront) + Send + 'static,
    ) -> Result<Storefront, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                // Read again under a lock: of two changes at the same time neither may undo the other.
                let scope = by_number(tx, number)?.scope;
                store::merchants::lock_mode(tx, scope)?;
                let mut storefront = by_number(tx, number)?;
                let before = settings(tx, &storefront)?;
                change(&mut storefront);
                if let Some(name) = &fee_group {
                    let group = store::fees::group_by_name(tx, name)?;
                    let group = group.ok_or_else(|| Error::missing("fee-group", "fee group", name))?;
                    storefront.fee_group = Some(group);
                }
                check(&storefront)?;
                storefront.updated_at = engine.now();
                store::storefronts::update(tx, &storefront)?;
                let detail = format!("service {number}: {}", changes(&before, &settings(tx, &storefront)?));
                engine.audit_storefront(tx, AuditKind::SettingsChanged, &storefront, detail)?;
                Ok(storefront)
            })
            .await
    }

    /// Makes a token. Its secret is in the answer and nowhere else but sealed in the database.
    ///
    /// # Errors
    /// [`Error::NameTaken`] by a valid token; [`Error::Limit`] above [`TOKENS_MAX`] valid ones.
    pub async fn create_token(
        &self,
        number: i64,
        name: String,
        variant: SignVariant,
        dialect: PayloadDialect,
    ) -> Result<(GateToken, String), Error> {
        let engine = self.clone();
        let secret = ids::secret_text(SECRET_CHARS);
        let kept = secret.clone();
        let token = self
            .store
            .write(move |tx| {
                let storefront = by_number(tx, number)?;
                // Counted under a lock, so that two cannot both find room for the last one.
                store::merchants::lock_mode(tx, storefront.scope)?;
                require_staying(tx, storefront.scope.merchant)?;
                let valid: Vec<GateToken> = store::gate_tokens::of_storefront(tx, storefront.id)?
                    .into_iter()
                    .map(|(token, _)| token)
                    .filter(|t| t.revoked_at.is_none())
                    .collect();
                if valid.iter().any(|t| t.name == name) {
                    return Err(Error::NameTaken { param: "name".to_owned(), name: name.clone() });
                }
                if valid.len() >= TOKENS_MAX {
                    return Err(Error::Limit { what: "valid tokens of a service", max: TOKENS_MAX });
                }
                let token = GateToken {
                    id: engine.ids.next(),
                    scope: storefront.scope,
                    storefront: storefront.id,
                    name: name.clone(),
                    last4: secret.get(secret.len() - 4..).unwrap_or_default().to_owned(),
                    variant,
                    dialect,
                    created_at: engine.now(),
                    revoked_at: None,
                };
                let sealed = engine.vault.seal(&token_context(token.id), secret.as_bytes())?;
                store::gate_tokens::insert(tx, &token, &sealed)?;
                let detail = format!("token {} of service {number}", token.id);
                engine.audit_storefront(tx, AuditKind::KeyCreated, &storefront, detail)?;
                Ok(token)
            })
            .await?;
        Ok((token, kept))
    }

    /// Every token of a storefront, revoked ones too.
    pub async fn tokens(&self, number: i64) -> Result<Vec<GateToken>, Error> {
        self.store
            .read(move |tx| {
                let storefront = by_number(tx, number)?;
                let tokens = store::gate_tokens::of_storefront(tx, storefront.id)?;
                Ok(tokens.into_iter().map(|(token, _)| token).collect())
            })
            .await
    }

    /// Ends a token within a second; false if it was not valid.
    pub async fn revoke_token(&self, id: GateTokenId) -> Result<bool, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let Some(token) = store::gate_tokens::revoke(tx, id, engine.now())? else { return Ok(false) };
                let scope = (Some(token.scope.merchant), Some(token.scope.mode));
                engine.audit_command(
                    tx,
                    AuditKind::KeyRevoked,
                    scope,
                    id,
                    "a token of a service".to_owned(),
                )?;
                Ok::<_, Error>(true)
            })
            .await
    }

    /// Registers an address that gets every callback of a service.
    pub async fn create_service_webhook(&self, number: i64, url: String) -> Result<WebhookEndpoint, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let storefront = by_number(tx, number)?;
                outbound::check_url(&url, engine.egress(storefront.scope))
                    .map_err(|e| Error::invalid("url", "url_invalid", e.to_string()))?;
                store::merchants::lock_mode(tx, storefront.scope)?;
                if store::webhooks::of_service(tx, storefront.id)?.len() >= WEBHOOK_ENDPOINTS {
                    return Err(Error::Limit { what: "webhooks of a service", max: WEBHOOK_ENDPOINTS });
                }
                let endpoint =
                    engine.gate_endpoint(storefront.scope, storefront.id, EndpointKind::Gate, url.clone());
                store::webhooks::insert(tx, &endpoint, &[])?;
                store::webhooks::number_service_webhook(tx, endpoint.id)?;
                let detail = format!(
                    "webhook {} of service {number} was added: {}",
                    endpoint.id,
                    audited("url", &url)
                );
                engine.audit_storefront(tx, AuditKind::SettingsChanged, &storefront, detail)?;
                Ok(endpoint)
            })
            .await
    }

    /// Webhooks of a service with their integers.
    pub async fn service_webhooks(&self, number: i64) -> Result<Vec<(i64, WebhookEndpoint)>, Error> {
        self.store
            .read(move |tx| {
                let storefront = by_number(tx, number)?;
                Ok(store::webhooks::of_service(tx, storefront.id)?)
            })
            .await
    }

    /// Removes a service's webhook; false if it has no such one.
    pub async fn delete_service_webhook(&self, number: i64, id: WebhookEndpointId) -> Result<bool, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let storefront = by_number(tx, number)?;
                let known = store::webhooks::of_service(tx, storefront.id)?;
                let found = known.iter().any(|(_, e)| e.id == id);
                if found {
                    store::webhooks::delete(tx, id)?;
                    let detail = format!("webhook {id} of service {number} was removed");
                    engine.audit_storefront(tx, AuditKind::SettingsChanged, &storefront, detail)?;
                }
                Ok(found)
            })
            .await
    }

    /// A service's latest callbacks, newest first, to its own webhooks and to the addresses that requests named.
    pub async fn service_callbacks(
        &self,
        number: i64,
        status: Option<DeliveryStatus>,
        limit: usize,
    ) -> Result<Vec<Callback>, Error> {
        self.store
            .read(move |tx| {
                let storefront = by_number(tx, number)?;
                Ok(store::webhooks::callbacks(tx, storefront.id, status, limit)?)
            })
            .await
    }

    /// Sends a callback once more, with the same bytes, however its earlier attempts ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what is no callback; [`Error::Invalid`] when its webhook is disabled.
    pub async fn resend_callback(&self, id: DeliveryId) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let delivery =
                    store::webhooks::get_delivery(tx, id)?.filter(|d| d.kind == DeliveryKind::Gate);
                let delivery = delivery.ok_or_else(|| Error::not_found("callback", id))?;
                let endpoint = store::webhooks::get(tx, delivery.scope, delivery.endpoint)?
                    .ok_or_else(|| Error::not_found("webhook of the callback", id))?;
                if endpoint.status == EndpointStatus::Disabled {
                    let message =
                        format!("the webhook {} is disabled; remove it and add it again", endpoint.id);
                    return Err(Error::invalid("callback", "webhook_endpoint_disabled", message));
                }
                store::webhooks::requeue(tx, id, engine.now())?;
                tx.wake(Wake::Deliveries);
                Ok(())
            })
            .await
    }

    /// An endpoint of a storefront; not stored yet. Callbacks are signed with Gate tokens, so it has no secret.
    pub(crate) fn gate_endpoint(
        &self,
        scope: Scope,
        storefront: StorefrontId,
        kind: EndpointKind,
        url: String,
    ) -> WebhookEndpoint {
        WebhookEndpoint {
            id: self.ids.next(),
            scope,
            kind,
            storefront: Some(storefront),
            url,
            enabled_events: Vec::new(),
            status: EndpointStatus::Enabled,
            disabled_reason: None,
            description: None,
            api_version: None,
            metadata: Metadata::new(),
            failing_since: None,
            created_at: self.now(),
        }
    }

    fn audit_storefront(
        &self,
        tx: &mut Tx<'_>,
        kind: AuditKind,
        s: &Storefront,
        detail: String,
    ) -> Result<(), Error> {
        self.audit_command(tx, kind, (Some(s.scope.merchant), Some(s.scope.mode)), s.id, detail)
    }
}

fn by_number(tx: &mut Tx<'_>, number: i64) -> Result<Storefront, Error> {
    store::storefronts::by_number(tx, number)?.ok_or_else(|| Error::not_found("service", number))
}

fn settings(tx: &mut Tx<'_>, s: &Storefront) -> Result<Vec<(&'static str, String)>, Error> {
    let group = s.fee_group.map(|group| store::fees::name_of(tx, group)).transpose()?.flatten();
    Ok(s.settings(group.as_deref()))
}

/// What was changed, from what to what.
fn changes(before: &[(&'static str, String)], after: &[(&'static str, String)]) -> String {
    let changed = before.iter().zip(after).filter(|(old, new)| old != new);
    let changed: Vec<String> = changed
        .map(|((name, old), (_, new))| format!("{name} {} to {}", audited(name, old), audited(name, new)))
        .collect();
    if changed.is_empty() { "nothing was changed".to_owned() } else { changed.join(", ") }
}

/// A value as the audit log keeps it for ever: of an address no user, password or query, which may be secrets.
fn audited(name: &str, value: &str) -> String {
    let mut kept = value.to_owned();
    if name.ends_with("url") {
        let end = value.find(['?', '#']).unwrap_or(value.len());
        let host = value.find("://").map_or(0, |at| at + 3);
        let path = value[host..end].find('/').map_or(end, |at| host + at);
        let user = value[host..path].rfind('@').map_or(host, |at| host + at + 1);
        kept =
            format!("{}{}{}", &value[..host], &value[user..end], if end < value.len() { "?…" } else { "" });
    }
    if kept.chars().count() > AUDITED_CHARS {
        kept = kept.chars().take(AUDITED_CHARS).chain(['…']).collect();
    }
    format!("{kept:?}")
}

fn check(s: &Storefront) -> Result<(), Error> {
    let invalid = |param: &str, message: String| Err(Error::invalid(param, "parameter_invalid", message));
    if !(60..=REQUEST_EXPIRATION_MAX_S).contains(&s.request_expiration) {
        return invalid(
            "request-expiration",
            format!("request-expiration must be 60 to {REQUEST_EXPIRATION_MAX_S} seconds"),
        );
    }
    if !(0..=MAX_AMOUNT).contains(&s.surcharge) {
        return invalid("cost", format!("cost must be 0 to {MAX_AMOUNT} minor units"));
    }
    if !(1..=ATTEMPTS_LIMIT).contains(&s.attempts_max) {
        return invalid("attempts", format!("attempts must be 1 to {ATTEMPTS_LIMIT}"));
    }
    let templates = [
        ("success-url", &s.redirects.success),
        ("fail-url", &s.redirects.fail),
        ("return-url", &s.redirects.back),
    ];
    for (param, template) in templates {
        let named = template.split('{').skip(1).map(|rest| rest.split('}').next().unwrap_or_default());
        if let Some(unknown) = named.into_iter().find(|name| !TEMPLATE_NAMES.contains(name)) {
            let known = TEMPLATE_NAMES.map(|name| format!("{{{name}}}")).join(", ");
            let shown: String = unknown.chars().take(AUDITED_CHARS).collect();
            return invalid(
                param,
                format!("{param} has the unknown placeholder {{{shown}}}; there are {known}"),
            );
        }
    }
    for (param, url) in [
        ("url", &s.url),
        ("success-url", &s.redirects.success),
        ("fail-url", &s.redirects.fail),
        ("return-url", &s.redirects.back),
    ] {
        let web = url.starts_with("https://") || url.starts_with("http://");
        if !url.is_empty() && (!web || url.len() > URL_MAX || url.chars().any(|c| c.is_control() || c == ' '))
        {
            return invalid(
                param,
                format!("{param} must be an http or https address of up to {URL_MAX} bytes, without spaces"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_an_address_is_audited() {
        for (name, value, kept) in [
            ("url", "https://shop.example/a", r#""https://shop.example/a""#),
            ("url", "", r#""""#),
            ("success-url", "https://me:pw@shop.example/@x?token=1#y", r#""https://shop.example/@x?…""#),
            ("fail-url", "https://me@shop.example", r#""https://shop.example""#),
            ("return-url", "https://shop.example?next=a@b/c", r#""https://shop.example?…""#),
            ("name", "Jo's \"best\" shop?", r#""Jo's \"best\" shop?""#),
        ] {
            assert_eq!(audited(name, value), kept, "{value}");
        }
        let long = audited("name", &"x".repeat(AUDITED_CHARS + 1));
        assert_eq!(long, format!("\"{}…\"", "x".repeat(AUDITED_CHARS)));
    }
}
