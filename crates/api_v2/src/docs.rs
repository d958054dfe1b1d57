//! The page that `doc_url` in errors leads to.

use axum::http::header;
use axum::response::IntoResponse;

/// Codes and what to do about them.
const CODES: &[(&str, &str)] = &[
    ("amount_too_large", "The amount is above the limit or above what can be captured. Send a smaller one."),
    ("amount_too_small", "Amounts are whole numbers of the currency's smallest unit, at least 1."),
    ("authentication_required", "The bank wants the payer to authenticate. Confirm again with the payer present."),
    ("balance_insufficient", "The available balance does not cover the refund. Wait for pending funds."),
    ("card_declined", "The bank declined the card; decline_code has its reason. Ask for another card."),
    ("charge_already_refunded", "Nothing is left to refund."),
    ("currency_invalid", "Use a three-letter ISO 4217 code that can be paid in."),
    ("expired_card", "The card has expired. Ask for another card."),
    ("idempotency_key_in_use", "The first request with this key still runs. Repeat in a moment."),
    ("idempotency_key_reused", "The key was used for another request. Use a new key for a new request."),
    ("incorrect_cvc", "The security code is wrong. Ask the payer to check it."),
    ("incorrect_number", "The card number is wrong. Ask the payer to check it."),
    ("insufficient_permissions", "A publishable key cannot do this. Use a secret key, from your server only."),
    ("lock_timeout", "The object is being changed by another request. Repeat in a moment."),
    ("parameter_missing", "A required parameter is missing; param names it."),
    ("parameter_unknown", "The parameter does not exist here; param names it. Check its spelling."),
    ("parameter_invalid_integer", "The parameter must be a whole number; param names it."),
    ("payment_intent_authentication_failure", "The payer did not pass authentication. Confirm with another method."),
    ("payment_intent_unexpected_state", "The payment's status does not allow this; the message says which do."),
    ("payment_method_unexpected_state", "The method was used up or detached. Create a new one."),
    ("processing_error", "The card network failed. Nothing was charged; try again later."),
    ("provider_not_configured", "The operator has to configure a payment provider for this mode."),
    ("resource_missing", "No such object for this key. Check the id and the key's mode."),
    ("url_invalid", "The address is not allowed; the message says why."),
];

/// `GET /docs/errors`.
pub async fn errors() -> impl IntoResponse {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Error codes</title>\
         <meta name=\"viewport\" content=\"width=device-width\"></head><body><h1>Error codes</h1><dl>",
    );
    for (code, text) in CODES {
        page.push_str(&format!("<dt id=\"{code}\"><code>{code}</code></dt><dd>{text}</dd>"));
    }
    page.push_str("</dl><p>Every error has a message that says what to do, and a request_id.</p></body></html>");
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    (headers, page)
}
