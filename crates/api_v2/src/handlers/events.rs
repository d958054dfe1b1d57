//! E8–E10: events.

use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, expand_paths, optional_reference, page_query};
use domain::event::EventType;
use domain::id::{Core, EventId, WebhookEndpointId};
use domain::limits::EVENTS_KEPT_US;
use domain::webhook::pattern_matches;
use engine::EventFilter;
use web::params::{Reader, echo};

fn types(r: &mut Reader<'_>) -> Result<Vec<EventType>, ApiError> {
    let one = r.text("type", 100)?;
    let many = r.texts("types", 20, 100)?;
    let patterns = match (one, many) {
        (Some(_), Some(_)) => {
            let message = "type and types cannot be used together. Pass one of them.";
            return Err(ApiError::invalid("parameters_exclusive", message).param("types"));
        }
        (Some(one), None) => vec![one],
        (None, Some(many)) => many,
        (None, None) => return Ok(Vec::new()),
    };
    let mut types = Vec::new();
    for pattern in &patterns {
        let before = types.len();
        types.extend(
            EventType::ALL.iter().filter(|t| !t.of_other_surface() && pattern_matches(pattern, t.as_str())),
        );
        if types.len() == before {
            let shown = echo(pattern);
            let message = format!(
                "'{shown}' is not an event type. Use a type such as charge.refunded, or a group such as charge.*."
            );
            return Err(ApiError::invalid("event_type_unknown", message).param("type"));
        }
    }
    Ok(types)
}

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::List)?;
    let query = page_query::<EventId>(&mut r)?;
    let oldest = u64::try_from(request.engine().now().plus(-EVENTS_KEPT_US).0 / 1_000).unwrap_or(0);
    let filter = EventFilter {
        types: types(&mut r)?,
        from: Some(Core::new(oldest, [0; 6])),
        v2_only: true,
        delivered: r.boolean("delivery_success")?,
    };
    r.finish()?;
    request.list(Object::Plain, expand, move |v| v.events(&filter, &query), render::event).await
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<EventId>(0, "event")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Get)?;
    r.finish()?;
    request.show(Object::Plain, expand, move |v| v.event(id), render::event, "event").await
}

pub async fn resend(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<EventId>(0, "event")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Post)?;
    let endpoint = optional_reference::<WebhookEndpointId>(&mut r, "webhook_endpoint")?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().resend_event(&call, id, endpoint).await?.into())
}
