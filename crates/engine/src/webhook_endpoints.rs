//! Webhook endpoints and their secrets.

use crate::call::{Call, Reply};
use crate::error::Error;
use crate::view::{EndpointView, View};
use crate::{Engine, ids};
use domain::Metadata;
use domain::id::WebhookEndpointId;
use domain::limits::WEBHOOK_ENDPOINTS;
use domain::scope::Scope;
use domain::time::MICROS;
use domain::webhook::{EndpointKind, EndpointStatus, WebhookEndpoint};
use store::{Tx, Wake};

#[derive(Clone, Debug)]
pub struct NewEndpoint {
    pub url: String,
    pub enabled_events: Vec<String>,
    pub description: Option<String>,
    pub api_version: Option<String>,
}

/// Changes to an endpoint. The outer `None` leaves a field alone; an inner `None` clears it.
#[derive(Clone, Debug, Default)]
pub struct EndpointChanges {
    pub url: Option<String>,
    pub enabled_events: Option<Vec<String>>,
    pub description: Option<Option<String>>,
    pub disabled: Option<bool>,
}

/// Random characters of a signing secret: 190 bits.
const SECRET_CHARS: usize = 32;

pub(crate) fn secret_context(id: WebhookEndpointId) -> String {
    format!("webhook_endpoints.secret.{id}")
}

impl Engine {
    /// The rules for addresses that webhooks of this scope may go to.
    pub fn egress(&self, scope: Scope) -> &outbound::Policy {
        if scope.mode.is_live() { &self.options.live_egress } else { &self.options.test_egress }
    }

    fn check_url(&self, scope: Scope, url: &str) -> Result<(), Error> {
        outbound::check_url(url, self.egress(scope))
            .map(|_| ())
            .map_err(|e| Error::invalid("url", "url_invalid", format!("Invalid URL: {e}")))
    }

    pub async fn create_endpoint<M>(&self, call: &Call, new: NewEndpoint, metadata: M) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.check_url(call.caller.scope, &new.url)?;
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            store::merchants::lock_mode(tx, scope)?;
            let count = usize::try_from(store::webhooks::count(tx, scope)?).unwrap_or(usize::MAX);
            if count >= WEBHOOK_ENDPOINTS {
                return Err(Error::Limit { what: "webhook endpoints", max: WEBHOOK_ENDPOINTS });
            }
            let mut endpoint = WebhookEndpoint {
                id: engine.ids.next(),
                scope,
                kind: EndpointKind::V2,
                storefront: None,
                url: new.url.clone(),
                enabled_events: new.enabled_events.clone(),
                status: EndpointStatus::Enabled,
                disabled_reason: None,
                description: new.description.clone(),
                api_version: new.api_version.clone(),
                metadata: Metadata::new(),
                failing_since: None,
                created_at: engine.now(),
            };
            metadata(&mut endpoint.metadata)?;
            let secret = format!("whsec_{}", ids::secret_text(SECRET_CHARS));
            let sealed = engine.vault.seal(&secret_context(endpoint.id), secret.as_bytes())?;
            store::webhooks::insert(tx, &endpoint, &sealed)?;
            Ok(View::Endpoint(EndpointView { endpoint, secret: Some(secret) }))
        })
        .await
    }

    pub async fn update_endpoint<M>(
        &self,
        call: &Call,
        id: WebhookEndpointId,
        changes: EndpointChanges,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        if let Some(url) = &changes.url {
            self.check_url(call.caller.scope, url)?;
        }
        self.command(call, move |_, tx, call| {
            let mut endpoint = lock(tx, call, id)?;
            if let Some(url) = &changes.url {
                endpoint.url.clone_from(url);
            }
            if let Some(events) = &changes.enabled_events {
                endpoint.enabled_events.clone_from(events);
            }
            if let Some(description) = &changes.description {
                endpoint.description.clone_from(description);
            }
            if let Some(disabled) = changes.disabled {
                endpoint.status = if disabled { EndpointStatus::Disabled } else { EndpointStatus::Enabled };
                endpoint.disabled_reason = disabled.then(|| "disabled by the merchant".to_owned());
                endpoint.failing_since = None;
                tx.wake(Wake::Deliveries);
            }
            metadata(&mut endpoint.metadata)?;
            store::webhooks::update(tx, &endpoint)?;
            Ok(View::Endpoint(EndpointView { endpoint, secret: None }))
        })
        .await
    }

    pub async fn delete_endpoint(&self, call: &Call, id: WebhookEndpointId) -> Result<Reply, Error> {
        self.command(call, move |_, tx, call| {
            lock(tx, call, id)?;
            store::webhooks::delete(tx, id)?;
            Ok(View::EndpointDeleted(id))
        })
        .await
    }

    /// Puts a new secret in force. The old one signs beside it for `overlap_s` seconds, or not at all
    /// if that is zero: after a leak.
    pub async fn rotate_endpoint_secret(
        &self,
        call: &Call,
        id: WebhookEndpointId,
        overlap_s: i64,
    ) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let endpoint = lock(tx, call, id)?;
            let secret = format!("whsec_{}", ids::secret_text(SECRET_CHARS));
            let sealed = engine.vault.seal(&secret_context(id), secret.as_bytes())?;
            let until = (overlap_s > 0).then(|| engine.now().plus(overlap_s.saturating_mul(MICROS)));
            store::webhooks::rotate_secret(tx, id, &sealed, until)?;
            Ok(View::Endpoint(EndpointView { endpoint, secret: Some(secret) }))
        })
        .await
    }
}

fn lock(tx: &mut Tx<'_>, call: &Call, id: WebhookEndpointId) -> Result<WebhookEndpoint, Error> {
    store::webhooks::lock(tx, call.caller.scope, id)?
        .filter(|e| e.kind == EndpointKind::V2)
        .ok_or_else(|| Error::not_found("webhook_endpoint", id))
}
