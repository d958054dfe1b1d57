//! The form of every answer.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::requests::Errors;

// Codes of operations, by Gate's document. They travel in `meta.code` and are no HTTP statuses; 223 and 434
// are `CODE_BALANCE` and `CODE_FEE` of `domain::gate_transaction`.

/// A held amount could not be released. Never sent: here holding and releasing are one commit each.
pub const UNHOLD_FAILED: u16 = 222;
/// The balance does not cover a payout or refund.
pub const NOT_ENOUGH_BALANCE: u16 = 223;
/// The service's fee group has no rule for this.
pub const FEE_FAILED: u16 = 434;

/// An answer: `meta`, and `data` or `errors`.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    pub status: StatusCode,
    pub body: Value,
}

/// `elapsed` is the time since the request came in.
pub fn success(message: &str, data: Value, elapsed: Duration) -> Envelope {
    let body = json!({ "meta": meta(StatusCode::OK.as_u16(), true, message, elapsed), "data": data });
    Envelope { status: StatusCode::OK, body }
}

/// A refusal. `code` is the HTTP status, except for the codes of operations, which go out with 422. Clients
/// look at the status before the body, so a refusal never has one of success.
pub fn failure(code: u16, message: &str, errors: &Errors, elapsed: Duration) -> Envelope {
    let status = match code {
        UNHOLD_FAILED | NOT_ENOUGH_BALANCE | FEE_FAILED => StatusCode::UNPROCESSABLE_ENTITY,
        400..=599 => StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = json!({ "meta": meta(code, false, message, elapsed), "errors": errors.to_json() });
    Envelope { status, body }
}

fn meta(code: u16, success: bool, message: &str, elapsed: Duration) -> Value {
    let response_time = format!("{}.{:03} s", elapsed.as_secs(), elapsed.subsec_millis());
    json!({ "code": code, "success": success, "message": message, "response_time": response_time })
}

impl IntoResponse for Envelope {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
        (self.status, headers, self.body.to_string()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let answer = success("OK", json!({"id": 1}), Duration::from_micros(123_900));
        let expected = r#"{"meta":{"code":200,"success":true,"message":"OK","response_time":"0.123 s"},"data":{"id":1}}"#;
        assert_eq!((answer.status.as_u16(), answer.body.to_string().as_str()), (200, expected));

        let mut errors = Errors::default();
        errors.add("payment.price", "payment.price is required.");
        let answer = failure(422, "No.", &errors, Duration::from_secs(61));
        let expected = r#"{"meta":{"code":422,"success":false,"message":"No.","response_time":"61.000 s"},"errors":{"payment.price":["payment.price is required."]}}"#;
        assert_eq!((answer.status.as_u16(), answer.body.to_string().as_str()), (422, expected));
    }

    #[test]
    fn a_refusal_never_has_a_status_of_success() {
        for (code, status) in [(400, 400), (401, 401), (404, 404), (409, 409), (429, 429), (500, 500)]
            .into_iter()
            .chain([(222, 422), (223, 422), (434, 422), (200, 500), (0, 500), (93, 500), (9_999, 500)])
        {
            let answer = failure(code, "No.", &Errors::default(), Duration::ZERO);
            assert_eq!(answer.status.as_u16(), status, "{code}");
            assert_eq!(answer.body["meta"]["code"], code);
            assert_eq!(answer.body["errors"], json!({}));
        }
    }
}
