use super::checkouts::party;
use super::{currency, hex, instant, map};
use engine::clients::ClientHistory;
use engine::view::ClientView;
use serde_json::{Value, json};

pub(crate) fn client(view: &ClientView) -> Value {
    let ClientView { customer, facts, updated_at, lifetime_value } = view;
    let lifetime = lifetime_value.as_ref().map(|sums| {
        let sum = |(of, amount): &(_, i64)| json!({ "currency": currency(*of), "amount": amount });
        sums.iter().map(sum).collect::<Vec<_>>()
    });
    json!({
        "id": hex(customer.id),
        "email": customer.email,
        "name": customer.name,
        "firstName": facts.first_name,
        "lastName": facts.last_name,
        "company": facts.company,
        "phone": customer.phone,
        "taxInfo": { "vatId": facts.vat_id },
        "billingAddress": facts.billing.as_ref().map(party),
        "shippingAddress": facts.shipping.as_ref().map(party),
        "metadata": map(&customer.metadata),
        "lifetimeValue": lifetime,
        "mode": customer.scope.mode,
        "createdAt": instant(customer.created_at),
        "updatedAt": instant(*updated_at),
    })
}

/// What was done to a client, in the order in which it happened.
pub(crate) fn client_history(history: &ClientHistory) -> Value {
    let mut rows: Vec<(i64, Value)> = Vec::new();
    for entry in &history.entries {
        rows.push((
            entry.created_at.0,
            json!({
                "type": "audit", "at": instant(entry.created_at), "action": entry.kind, "actor": entry.actor,
                "requestId": entry.request, "detail": entry.detail,
            }),
        ));
    }
    for event in &history.events {
        rows.push((
            event.created_at.0,
            json!({
                "type": "event", "at": instant(event.created_at), "action": event.event_type, "requestId": event.request,
            }),
        ));
    }
    rows.sort_by_key(|(at, _)| *at);
    json!({ "history": rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>() })
}
