use super::{currency, hex, instant, map, optional_instant};
use domain::attempt::Attempt;
use domain::payment_method::MethodFacts;
use domain::refund::Refund;
use domain::site_transaction;
use domain::webhook::DeliveryStatus;
use engine::DeliveryAttempt;
use engine::checkouts::CheckoutView;
use engine::site_transactions::Timeline;
use engine::view::SiteTransactionView;
use serde_json::{Value, json};
use web::Urls;

/// What an attempt to deliver came to, in one word or status.
fn attempt_result(attempt: &DeliveryAttempt) -> String {
    match (attempt.status, &attempt.error) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => error.clone(),
        (None, None) => "unknown".to_owned(),
    }
}

fn method(facts: &MethodFacts) -> Value {
    match facts {
        MethodFacts::Card(card) => json!({ "type": "card", "brand": card.brand, "last4": card.last4 }),
        MethodFacts::SepaDebit(sepa) => json!({ "type": "sepa_debit", "last4": sepa.last4 }),
        MethodFacts::Paypal(_) => json!({ "type": "paypal" }),
        MethodFacts::OffPlatform(facts) => json!({
            "type": "off_platform",
            "kind": facts.kind,
            "reference": facts.reference,
            "paidAt": optional_instant(facts.paid_at),
        }),
    }
}

fn refund(of: &Refund) -> Value {
    json!({
        "id": hex(of.id),
        "amount": of.amount,
        "currency": currency(of.currency),
        "status": of.status,
        "failureReason": of.failure_reason,
        "metadata": map(&of.metadata),
        "createdAt": instant(of.created_at),
    })
}

/// A transaction as its merchant sees it.
pub(crate) fn transaction(view: &SiteTransactionView) -> Value {
    let SiteTransactionView { attempt, payment, site, refunds, notice_attempts, last_notice } = view;
    let status = site_transaction::status(attempt);
    let ipn_url = site.as_ref().and_then(|s| s.ipn_url.as_ref());
    let last = last_notice.as_ref().and_then(|(_, attempts)| attempts.last());
    let ipn = ipn_url.map(|url| {
        json!({
            "url": url,
            "attempts": notice_attempts,
            "status": last_notice.as_ref().map(|(status, _)| delivery_status(*status)),
            "lastStatus": last.map(attempt_result),
        })
    });
    json!({
        "id": hex(attempt.id),
        "siteId": hex(payment.storefront),
        "checkoutId": payment.checkout.then(|| hex(payment.id)),
        "clientId": payment.customer.map(hex),
        "providerId": (!attempt.is_off_platform()).then(|| hex(attempt.provider)),
        "providerReference": (!attempt.is_off_platform()).then(|| attempt.id.to_string()),
        "amount": attempt.amount,
        "currency": currency(attempt.currency),
        "status": status,
        "statusCode": status.code(),
        "capturedAmount": attempt.amount_captured,
        "refundedAmount": attempt.amount_refunded,
        "refunds": refunds.iter().map(refund).collect::<Vec<_>>(),
        "chargebacks": [],
        "fee": if attempt.amount_captured > 0 { payment.fee } else { 0 },
        "paymentMethod": method(&attempt.method),
        "failure": attempt.decline.as_ref().map(|d| json!({ "code": d.code, "message": d.message })),
        "description": payment.details.description,
        "externalReference": site.as_ref().and_then(|s| s.external_reference.as_ref()),
        "invoiceNumber": site.as_ref().and_then(|s| s.invoice_number.as_ref()),
        "metadata": map(&payment.metadata),
        "ipn": ipn,
        "mode": attempt.scope.mode,
        "createdAt": instant(attempt.created_at),
    })
}

const fn delivery_status(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Pending => "pending",
        DeliveryStatus::Succeeded => "delivered",
        DeliveryStatus::Failed => "failed",
    }
}

/// The same with all that came of it, in the order in which it happened.
pub(crate) fn transaction_with_timeline(view: &SiteTransactionView, timeline: &Timeline) -> Value {
    let mut rows: Vec<(i64, Value)> = Vec::new();
    let attempt = &view.attempt;
    rows.push((
        attempt.created_at.0,
        json!({ "type": "attempt", "at": instant(attempt.created_at), "transactionId": hex(attempt.id) }),
    ));
    for event in &timeline.events {
        rows.push((
            event.created_at.0,
            json!({ "type": "event", "at": instant(event.created_at), "id": hex(event.id), "name": event.event_type }),
        ));
    }
    for journal in &timeline.journals {
        let entries: Vec<Value> = journal
            .entries
            .iter()
            .map(|e| json!({ "account": e.account, "debit": e.amount.max(0), "credit": (-e.amount).max(0) }))
            .collect();
        rows.push((
            journal.effective_at.0,
            json!({
                "type": "journal", "at": instant(journal.effective_at), "id": hex(journal.id),
                "name": journal.kind, "currency": currency(journal.currency), "entries": entries,
            }),
        ));
    }
    for notice in &timeline.notices {
        for attempt in &notice.attempts {
            rows.push((
                attempt.started_at.0,
                json!({
                    "type": "ipn", "at": instant(attempt.started_at), "id": hex(notice.delivery.id),
                    "attempt": attempt.n, "manual": attempt.cause == "manual", "result": attempt_result(attempt),
                }),
            ));
        }
    }
    // Stable: what happened at one instant stays in the order above.
    rows.sort_by_key(|(at, _)| *at);
    let mut value = transaction(view);
    value["timeline"] = Value::Array(rows.into_iter().map(|(_, row)| row).collect());
    value
}

/// A transaction as its payer's browser sees it.
pub(crate) fn public_transaction(urls: &Urls, attempt: &Attempt, view: &CheckoutView) -> Value {
    let status = site_transaction::status(attempt);
    let action =
        view.payment.next_action.as_ref().filter(|_| view.payment.latest_attempt == Some(attempt.id));
    let redirect = action.map(|action| match &attempt.method {
        MethodFacts::Paypal(_) => {
            format!("{}/checkout/{}/simulated/{}", urls.public, view.checkout.code, action.code)
        }
        _ => format!("{}/3ds/{}", urls.public, action.code),
    });
    let leave = &view.checkout.details.leave;
    json!({
        "id": hex(attempt.id),
        "checkoutId": view.checkout.code,
        "status": status,
        "statusCode": status.code(),
        "amount": attempt.amount,
        "currency": currency(attempt.currency),
        "redirectUrl": redirect,
        "returnUrl": leave.success,
        "cancelUrl": leave.back,
        "payable": view.payable(),
    })
}
