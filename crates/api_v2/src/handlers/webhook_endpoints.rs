//! E1–E7: webhook endpoints and the log of their deliveries.

use super::shared;
use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, expand_paths, optional_reference, page_query, required};
use domain::event::EventType;
use domain::id::{DeliveryId, EventId, WebhookEndpointId};
use domain::limits::ENABLED_EVENTS;
use domain::webhook::{
    DeliveryStatus, ROTATION_OVERLAP_DEFAULT_S, ROTATION_OVERLAP_MAX_S, WebhookEndpoint, pattern_matches,
};
use engine::view::DeliveryView;
use engine::webhook_endpoints::{EndpointChanges, NewEndpoint};
use web::params::{Reader, echo};

/// `enabled_events[]`: known types, `*`, or a known group such as `charge.*`.
fn enabled_events(r: &mut Reader<'_>) -> Result<Option<Vec<String>>, ApiError> {
    let Some(listed) = r.texts("enabled_events", ENABLED_EVENTS, 100)? else { return Ok(None) };
    if listed.is_empty() {
        let message = "enabled_events must name at least one event type; * stands for all.";
        return Err(r.invalid("enabled_events", "parameter_invalid_empty", message).into());
    }
    for pattern in &listed {
        let known =
            EventType::ALL.iter().any(|t| !t.of_other_surface() && pattern_matches(pattern, t.as_str()));
        if !known {
            let shown = echo(pattern);
            let message = format!(
                "'{shown}' is not an event type. Use *, a type such as payment_intent.succeeded, or a group such as charge.*."
            );
            return Err(r.invalid("enabled_events", "event_type_unknown", message).into());
        }
    }
    Ok(Some(listed))
}

fn endpoint(_: &web::Urls, e: &WebhookEndpoint) -> serde_json::Value {
    render::webhook_endpoint(e, None)
}

pub async fn create(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Post)?;
    let url = shared::web_address(&mut r, "url")?;
    let url = required(url, &r, "url")?;
    let events = enabled_events(&mut r)?;
    let events = required(events, &r, "enabled_events")?;
    let description = r.multiline("description", 1_000)?;
    let api_version = r.text("api_version", 40)?;
    let metadata = shared::metadata(&mut r)?;
    if r.boolean("connect")? == Some(true) {
        let message = "Connected accounts are not offered: connect must be false or left out.";
        return Err(r.invalid("connect", "parameter_invalid", message).into());
    }
    r.finish()?;
    let new = NewEndpoint { url, enabled_events: events, description, api_version };
    let call = request.call(ReplyKind { created: true, ..ReplyKind::default() }, expand);
    Ok(request.engine().create_endpoint(&call, new, metadata).await?.into())
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<WebhookEndpointId>(0, "webhook_endpoint")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Get)?;
    r.finish()?;
    request.show(Object::Plain, expand, move |v| v.endpoint(id), endpoint, "webhook_endpoint").await
}

pub async fn update(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<WebhookEndpointId>(0, "webhook_endpoint")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Post)?;
    let changes = EndpointChanges {
        url: shared::web_address(&mut r, "url")?,
        enabled_events: enabled_events(&mut r)?,
        description: shared::patched(r.patch_multiline("description", 1_000)?),
        disabled: r.boolean("disabled")?,
    };
    let metadata = shared::metadata(&mut r)?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().update_endpoint(&call, id, changes, metadata).await?.into())
}

pub async fn delete(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<WebhookEndpointId>(0, "webhook_endpoint")?;
    request.params.reader().finish()?;
    let call = request.call(ReplyKind::default(), Vec::new());
    Ok(request.engine().delete_endpoint(&call, id).await?.into())
}

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::List)?;
    let query = page_query::<WebhookEndpointId>(&mut r)?;
    r.finish()?;
    request.list(Object::Plain, expand, move |v| v.endpoints(&query), endpoint).await
}

pub async fn rotate_secret(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<WebhookEndpointId>(0, "webhook_endpoint")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Post)?;
    let overlap = r.integer("expires_in", 0, ROTATION_OVERLAP_MAX_S)?.unwrap_or(ROTATION_OVERLAP_DEFAULT_S);
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().rotate_endpoint_secret(&call, id, overlap).await?.into())
}

pub async fn deliveries(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<WebhookEndpointId>(0, "webhook_endpoint")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::List)?;
    let query = page_query::<DeliveryId>(&mut r)?;
    let status = r.one_of("status", &["pending", "succeeded", "failed"])?.and_then(DeliveryStatus::parse);
    let event = optional_reference::<EventId>(&mut r, "event")?;
    r.finish()?;
    let list = move |v: &mut engine::Views<'_, '_>| {
        if v.endpoint(id)?.is_none() {
            return Err(engine::Error::NotFound { kind: "webhook_endpoint", id: id.to_string() });
        }
        v.deliveries(id, status, event, &query)
    };
    let show = |_: &web::Urls, d: &DeliveryView| render::delivery(d);
    request.list(Object::Plain, expand, list, show).await
}
