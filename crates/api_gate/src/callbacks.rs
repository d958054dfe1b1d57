//! Bodies of callbacks: rendered and signed once, from what was true when the status changed.

use crate::render::{Shape, operation, operations, transaction};
use crate::signature::{self, Variant};
use domain::event::EventType;
use domain::gate_operation::GateOperation;
use domain::gate_token::{PayloadDialect, SignVariant};
use engine::view::{EventView, GateView};
use serde_json::{Map, Value, json};
use web::Urls;

/// How a callback is signed and spelled: as its token says.
pub struct Signing<'a> {
    pub secret: &'a str,
    pub variant: SignVariant,
    pub dialect: PayloadDialect,
}

/// The signed body of a callback, the same bytes for every attempt; empty for an event that Gate is not told
/// of.
pub fn callback_body(urls: &Urls, event: &EventView, signing: &Signing<'_>) -> Vec<u8> {
    let Some(view) = &event.snapshot.gate else { return Vec::new() };
    let body = match (event.event.event_type, signing.dialect) {
        (EventType::GateTransactionUpdated, PayloadDialect::Y2025) => {
            json!({ "data": { "transaction": transaction(urls, view, Shape::Callback, true) } })
        }
        (EventType::GateOperationUpdated, PayloadDialect::Y2025) => {
            json!({ "data": { "operations": operations(view, Shape::Callback) } })
        }
        (EventType::GateTransactionUpdated, PayloadDialect::Y2026) => {
            json!({ "transaction": transaction(urls, view, Shape::Callback, true) })
        }
        (EventType::GateOperationUpdated, PayloadDialect::Y2026) => json!({
            "transaction": transaction(urls, view, Shape::Callback, false),
            "data": {
                "operation": changed(view).map(|o| operation(view, o, Shape::Callback)),
                "operations": operations(view, Shape::Callback),
            },
        }),
        _ => return Vec::new(),
    };
    let mut signed = Map::new();
    signed.insert("meta".to_owned(), meta(view, signing.dialect));
    if let Value::Object(fields) = body {
        signed.extend(fields);
    }
    let variant = match signing.variant {
        SignVariant::Folded => Variant::Folded,
        SignVariant::Raw => Variant::Raw,
    };
    signature::seal(signed, signing.secret.as_bytes(), variant).into_bytes()
}

/// The operation that the callback is about: the one changed last.
fn changed(view: &GateView) -> Option<&GateOperation> {
    view.operations.iter().max_by_key(|o| (o.updated_at, o.number))
}

fn meta(view: &GateView, dialect: PayloadDialect) -> Value {
    let t = &view.transaction;
    let mut meta = json!({ "payment_id": t.payment_id, "service_id": view.service.storefront.number });
    if dialect == PayloadDialect::Y2026 {
        meta["reference_id"] = json!(t.payment_id);
    }
    meta
}
