use super::{currency, hex, instant, map, optional_instant, rate};
use domain::id::TypedId;
use domain::payment::{CancellationReason, PaymentStatus};
use domain::site_checkout::{Party, SiteItem};
use engine::checkouts::CheckoutView;
use engine::view::SiteCheckoutView;
use serde_json::{Value, json};
use web::Urls;

/// What a checkout is called, by its payment.
pub(super) fn status(payment: PaymentStatus, reason: Option<CancellationReason>) -> &'static str {
    match payment {
        PaymentStatus::Succeeded => "completed",
        PaymentStatus::Canceled => match reason {
            Some(CancellationReason::Expired) => "expired",
            _ => "cancelled",
        },
        _ => "open",
    }
}

/// Where a checkout is paid. Pages of Gate have an address of their own.
pub(crate) fn payment_url(urls: &Urls, code: &str) -> String {
    let folder = if code.contains('-') { "payment" } else { "checkout" };
    format!("{}/{folder}/{code}", urls.public)
}

pub(super) fn party(of: &Party) -> Value {
    json!({
        "firstName": of.first_name, "lastName": of.last_name, "company": of.company,
        "address1": of.address1, "address2": of.address2, "city": of.city, "state": of.state,
        "postcode": of.postcode, "country": of.country, "phone": of.phone,
    })
}

fn item(of: &SiteItem) -> Value {
    json!({
        "name": of.name,
        "description": of.description,
        "quantity": of.quantity,
        "unitPrice": of.unit_price,
        "vatRate": of.vat_rate.map(rate),
        "itemType": of.kind,
    })
}

/// A checkout as its merchant sees it.
pub(crate) fn checkout(urls: &Urls, view: &SiteCheckoutView) -> Value {
    let SiteCheckoutView { payment, checkout, site, attempts } = view;
    let details = &checkout.details;
    json!({
        "id": hex(payment.id),
        "siteId": hex(checkout.storefront),
        "sessionPublicId": checkout.code,
        "shortCode": checkout.code,
        "paymentUrl": payment_url(urls, &checkout.code),
        "status": status(payment.status, payment.cancellation_reason),
        "amount": payment.total(),
        "currency": currency(payment.currency),
        "email": details.payer_email,
        "clientId": checkout.customer.map(hex),
        "externalReference": site.as_ref().map_or(details.reference.as_ref(), |s| s.external_reference.as_ref()),
        "invoiceNumber": site.as_ref().and_then(|s| s.invoice_number.as_ref()),
        "items": site.as_ref().map(|s| s.items.iter().map(item).collect::<Vec<_>>()).unwrap_or_default(),
        "billingAddress": site.as_ref().and_then(|s| s.billing.as_ref()).map(party),
        "shippingAddress": site.as_ref().and_then(|s| s.shipping.as_ref()).map(party),
        "returnUrl": details.leave.success,
        "cancelUrl": details.leave.back,
        "ipnUrl": site.as_ref().and_then(|s| s.ipn_url.as_ref()),
        "metadata": map(&payment.metadata),
        "transactionIds": attempts.iter().map(|id| hex(*id)).collect::<Vec<_>>(),
        "mode": payment.scope.mode,
        "createdAt": instant(checkout.created_at),
        "submittedAt": optional_instant(checkout.submitted_at),
        "expiresAt": instant(checkout.expires_at),
    })
}

/// A checkout as its payer's browser sees it: nothing of the merchant's own.
pub(crate) fn public_checkout(urls: &Urls, view: &CheckoutView) -> Value {
    let (payment, checkout) = (&view.payment, &view.checkout);
    let lines: Vec<Value> = match &view.site {
        Some(site) => site
            .items
            .iter()
            .map(|i| json!({ "name": i.name, "quantity": i.quantity, "unitAmount": i.unit_price }))
            .collect(),
        None => checkout
            .details
            .items
            .iter()
            .map(|i| json!({ "name": i.text, "quantity": 1, "unitAmount": i.amount }))
            .collect(),
    };
    let methods: Vec<&str> = view.methods.iter().map(|kind| kind.as_str()).collect();
    let status = match status(payment.status, payment.cancellation_reason) {
        "open" => "pending",
        other => other,
    };
    json!({
        "id": checkout.code,
        "status": status,
        "amount": payment.total(),
        "currency": currency(payment.currency),
        "lineItems": lines,
        "providers": [{ "methods": methods }],
        "branding": { "name": view.shop_name, "logo": view.branding.logo, "primaryColor": view.branding.primary_color },
        "checkoutSettings": { "vatIdValidation": false },
        "paymentUrl": payment_url(urls, &checkout.code),
        "transactionId": payment.latest_attempt.map(|id| id.core().hex()),
        "payable": view.payable(),
        "attemptsLeft": (checkout.attempts_max - payment.attempts).max(0),
        "testMode": !view.scope.mode.is_live(),
        "expiresAt": instant(checkout.expires_at),
    })
}
