//! The bodies of notices to shops (IPN), in both versions.

use domain::date::iso_micros;
use domain::id::DeliveryId;
use engine::view::EventView;
use serde_json::json;

/// The body of a notice, the same bytes for every attempt.
pub fn notice_body(event: &EventView, version: i64, delivery: DeliveryId) -> Vec<u8> {
    let Some(notice) = event.snapshot.site.iter().find(|n| n.object == event.event.object) else {
        // Such an event has a notice, or it would not have been written.
        return Vec::new();
    };
    let mut body = json!({
        "id": notice.object.hex(),
        "externalReference": notice.external_reference,
        "status": notice.status.code(),
    });
    if version == 2 {
        body["schemaVersion"] = json!(2);
        body["deliveryId"] = json!(delivery.to_string());
        body["eventVersion"] = json!(notice.version);
        body["occurredAt"] = json!(iso_micros(event.event.created_at));
    }
    body.to_string().into_bytes()
}
