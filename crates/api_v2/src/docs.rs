//! The page that `doc_url` in errors leads to.

use axum::http::header;
use axum::response::IntoResponse;

/// Codes and what to do about them.
const CODES: &[(&str, &str)] = &[
    ("amount_too_large", "The amount is above the limit or above what can be captured. Send a smaller one."),
    ("amount_too_small", "Amounts are whole numbers of the currency's smallest unit, at least 1."),
    (
        "authentication_required",
        "The bank wants the payer to authenticate. Confirm again with the payer present.",
    ),
    (
        "balance_insufficient",
        "The available balance does not cover the refund or payout. Wait for pending funds.",
    ),
    ("body_broken", "The body ended before it was complete. Send the request again."),
    ("body_too_large", "A request body has at most 64 KiB. Send less."),
    ("body_too_slow", "The body has to arrive within ten seconds."),
    ("capture_method_not_supported", "This kind of payment method cannot be captured manually."),
    ("card_declined", "The bank declined the card; decline_code has its reason. Ask for another card."),
    (
        "card_testing_suspected",
        "Too many cards were tried from this network or at this account, or this card too often. Wait, or pay in \
         another way.",
    ),
    ("charge_already_refunded", "Nothing is left to refund."),
    ("charge_not_refundable", "Nothing was captured that could be refunded. Cancel the payment instead."),
    (
        "connected_accounts_not_supported",
        "Connected accounts are not offered. Remove the header that names one.",
    ),
    (
        "content_type_unsupported",
        "Send a form or JSON in UTF-8, not compressed, and name it in Content-Type once.",
    ),
    ("country_code_invalid", "Use a two-letter ISO 3166 code in capitals, such as DE."),
    ("currency_invalid", "Use a three-letter ISO 4217 code that can be paid in."),
    ("currency_not_supported", "This currency is not accepted here; the message says why."),
    ("email_invalid", "Send an e-mail address such as name@example.com."),
    ("event_type_unknown", "Use an event type, a group such as charge.*, or * for all."),
    ("expand_invalid", "The path in expand leads to nothing that can be expanded, or is too deep."),
    ("expand_too_many", "Expand fewer paths in one request."),
    ("expired_card", "The card has expired. Ask for another card."),
    ("fee_not_configured", "The operator has to add a fee rule for this currency."),
    ("idempotency_key_in_use", "The first request with this key still runs. Repeat in a moment."),
    (
        "idempotency_key_invalid",
        "An Idempotency-Key has 1 to 255 printable characters. A random UUID is a good choice.",
    ),
    ("idempotency_key_reused", "The key was used for another request. Use a new key for a new request."),
    ("incorrect_cvc", "The security code is wrong. Ask the payer to check it."),
    ("incorrect_number", "The card number is wrong. Ask the payer to check it."),
    ("increment_not_supported", "Only card authorisations can be raised."),
    (
        "insufficient_permissions",
        "A publishable key cannot do this. Use a secret key, from your server only.",
    ),
    ("invalid_cvc", "The security code has the wrong length. Ask the payer to check it."),
    ("invalid_expiry_month", "The expiry month is from 1 to 12. Ask the payer to check it."),
    ("invalid_expiry_year", "The expiry year is wrong or in the past. Ask the payer to check it."),
    ("invalid_iban", "The IBAN is wrong. Ask the payer to check it."),
    ("invalid_number", "The card number is not one. Ask the payer to check it."),
    ("limit_exceeded", "There are as many of these as there may be. Delete one first."),
    ("lock_timeout", "The object is being changed by another request. Repeat in a moment."),
    ("method_not_allowed", "The address exists, but not with this HTTP method."),
    ("parameter_conflict", "A name is used as two of: plain value, list, map. Use one of them."),
    ("parameter_duplicate", "The parameter is given more than once. Send it once."),
    ("parameter_invalid", "The parameter has a value that is not allowed here; the message says why."),
    ("parameter_invalid_array", "The parameter must be a list: a[]=1 in a form, [1] in JSON."),
    ("parameter_invalid_boolean", "The parameter must be true or false."),
    ("parameter_invalid_empty", "The parameter cannot be empty. Send a value, or leave it out."),
    ("parameter_invalid_enum", "The parameter must be one of the listed values; the message names them."),
    ("parameter_invalid_integer", "The parameter must be a whole number; param names it."),
    ("parameter_invalid_metadata", "Metadata has up to 50 keys of 40 characters, with values of up to 500."),
    ("parameter_invalid_object", "The parameter must be an object with named fields."),
    (
        "parameter_invalid_string",
        "The text is too long or has characters that are not allowed; the message says which.",
    ),
    ("parameter_invalid_string_blank", "The text has only spaces. Send some text, or leave it out."),
    ("parameter_missing", "A required parameter is missing; param names it."),
    ("parameter_unexpected", "The parameter does not fit the others of this request; the message says why."),
    ("parameter_unknown", "The parameter does not exist here; param names it. Check its spelling."),
    ("parameters_exclusive", "Two parameters exclude each other. Send one of them."),
    (
        "payment_intent_authentication_failure",
        "The payer did not pass authentication. Confirm with another method.",
    ),
    ("payment_intent_incompatible_payment_method", "The payment does not allow this type of payment method."),
    ("payment_intent_payment_attempt_limit", "The payment was tried too often. Create a new one."),
    (
        "payment_intent_terms_fixed",
        "The payment has a payment page, whose payer was shown its terms. Cancel it and create a new one.",
    ),
    (
        "payment_intent_unexpected_state",
        "The payment's status does not allow this; the message says which do.",
    ),
    ("payment_method_currency_mismatch", "This type of payment method cannot pay in this currency."),
    ("payment_method_customer_mismatch", "The payment method and the payment belong to different customers."),
    ("payment_method_provider_decline", "The bank refused the debit. Ask for another payment method."),
    ("payment_method_type_unknown", "There is no such type of payment method here; the message lists them."),
    ("payment_method_unexpected_state", "The method was used up or detached. Create a new one."),
    ("payout_unexpected_state", "The payout's status does not allow this; the message says why."),
    ("processing_error", "The card network failed. Nothing was charged; try again later."),
    ("provider_not_configured", "The operator has to configure a payment provider for this mode."),
    (
        "request_body_invalid",
        "The body or the query string cannot be read; the message says where it breaks.",
    ),
    ("request_too_complex", "The request is nested too deeply or has too many parts. Send less."),
    ("resource_missing", "No such object for this key. Check the id and the key's mode."),
    ("test_clock_advancing", "The clock is moving. Retrieve it until its status is ready."),
    (
        "test_method_not_supported",
        "This test method needs something that is not offered yet. Use another one.",
    ),
    ("url_invalid", "The address is not allowed; the message says why."),
    ("url_not_found", "There is nothing at this address. Check the path."),
    ("webhook_endpoint_disabled", "The endpoint is disabled. Enable it with disabled=false."),
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
    page.push_str(
        "</dl><p>Every error has a message that says what to do, and a request_id.</p></body></html>",
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    (headers, page)
}
