//! The headers of a delivery: the gateway's own signature, and those of Standard Webhooks 1.0
//! (<https://www.standardwebhooks.com>) beside it. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What is signed and named in the headers.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `evt_…`: the same at every attempt, so that receivers can drop repeats.
    pub event: &'a str,
    /// `dlv_…`.
    pub delivery: &'a str,
    /// Number of this attempt, from 1.
    pub attempt: i64,
    /// Unix seconds of this attempt. Receivers refuse old ones, so every attempt is signed anew.
    pub timestamp: i64,
    /// Exactly the bytes that are sent.
    pub body: &'a [u8],
}

/// All headers of an attempt, signed with every secret in force, newest first.
pub fn headers(message: &Message<'_>, secrets: &[String]) -> Vec<(String, String)> {
    let mut headers = vec![
        ("content-type", "application/json; charset=utf-8".to_owned()),
        ("user-agent", concat!("PaymentGate/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("pg-signature", pg_signature(message, secrets)),
        ("pg-delivery-id", message.delivery.to_owned()),
        ("pg-delivery-attempt", message.attempt.to_string()),
        ("webhook-id", message.event.to_owned()),
        ("webhook-timestamp", message.timestamp.to_string()),
    ];
    let standard = standard_signature(message, secrets);
    if !standard.is_empty() {
        headers.push(("webhook-signature", standard));
    }
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The headers of a Gate callback: its signature is in its body. The delivery's id is the same at every
/// attempt; like all headers it is not signed.
pub fn gate_headers(message: &Message<'_>) -> Vec<(String, String)> {
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("accept", "application/json".to_owned()),
        ("user-agent", concat!("PaymentGate/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("x-gate-delivery", message.delivery.to_owned()),
        ("x-gate-delivery-attempt", message.attempt.to_string()),
    ];
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The headers of a notice to a shop: hex HMAC-SHA256 of `{timestamp}.{body}` under the site's secret, `whsec_` and
/// all. Version 2 names itself and its delivery.
pub fn ipn_headers(message: &Message<'_>, secrets: &[String], version: i64) -> Vec<(String, String)> {
    let t = message.timestamp.to_string();
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", concat!("PaymentGate/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("x-signature-timestamp", t.clone()),
    ];
    if let Some(secret) = secrets.first() {
        let digest = mac(secret.as_bytes(), &[t.as_bytes(), b".", message.body]);
        let hex = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        headers.push(("x-signature-hmac-sha256", hex));
    }
    if version == 2 {
        headers.push(("x-ipn-version", "2".to_owned()));
        headers.push(("x-ipn-delivery-id", message.delivery.to_owned()));
    }
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `t=<unix>,v1=<hex>[,v1=<hex>]`: HMAC-SHA256 of `{t}.{body}` under the secret as shown to the
/// merchant, `whsec_` and all.
fn pg_signature(message: &Message<'_>, secrets: &[String]) -> String {
    let t = message.timestamp.to_string();
    let mut value = format!("t={t}");
    for secret in secrets {
        let digest = mac(secret.as_bytes(), &[t.as_bytes(), b".", message.body]);
        value.push_str(",v1=");
        value.extend(digest.iter().map(|byte| format!("{byte:02x}")));
    }
    value
}

/// `v1,<base64>[ v1,<base64>]`: HMAC-SHA256 of `{id}.{t}.{body}` under the key that the secret is the
/// base64 of. A secret that is not base64 is passed over; ours always are: 32 characters of a subset of
/// that alphabet, 24 bytes, the least that the specification allows.
fn standard_signature(message: &Message<'_>, secrets: &[String]) -> String {
    let t = message.timestamp.to_string();
    let parts = [message.event.as_bytes(), b".", t.as_bytes(), b".", message.body];
    let signatures: Vec<String> = secrets
        .iter()
        .filter_map(|secret| BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok())
        .map(|key| format!("v1,{}", BASE64.encode(mac(&key, &parts))))
        .collect();
    signatures.join(" ")
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length (RFC 2104), so this cannot fail; an all-zero digest would only be
    // refused by the receiver.
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "whsec_abcdefghijklmnopqrstuvwxyz012345";
    const OLD: &str = "whsec_ABCDEFGHIJKLMNOPQRSTUVWXYZ678901";

    fn message() -> Message<'static> {
        Message {
            event: "evt_0123456789ABCDEFG",
            delivery: "dlv_0123456789ABCDEFG",
            attempt: 3,
            timestamp: 1_767_225_600,
            body:
                "{\"id\":\"evt_0123456789ABCDEFG\",\"type\":\"payment_intent.succeeded\",\"amount\":\"café\"}"
                    .as_bytes(),
        }
    }

    fn header(name: &str, secrets: &[&str]) -> Option<String> {
        let secrets: Vec<String> = secrets.iter().map(|s| (*s).to_owned()).collect();
        let mut found = headers(&message(), &secrets).into_iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value);
        assert!(found.next().is_none(), "{name} is sent twice");
        value
    }

    // The digests were computed with Python's hmac, hashlib and base64.
    const PG_NEW: &str = "fc0ec78d55a02b024fdf1095f363731332ff518a8481911b6013c529332e57c5";
    const PG_OLD: &str = "279238e9999dea337c38f2e7bd2867dadcf90c6fc3deb8c6e2576711cab7f3bb";
    const STANDARD_NEW: &str = "1Xn84LKPt9Q7dKaSHE57a5GQvwVH+u5sY/4cWA1ClLM=";
    const STANDARD_OLD: &str = "NCfpgjgOMjXmnm/Rt80KpatVAwRtsiQyNFqVnp5a4/g=";

    #[test]
    fn own_signature() {
        assert_eq!(header("pg-signature", &[NEW]), Some(format!("t=1767225600,v1={PG_NEW}")));
        assert_eq!(
            header("pg-signature", &[NEW, OLD]),
            Some(format!("t=1767225600,v1={PG_NEW},v1={PG_OLD}"))
        );
    }

    #[test]
    fn standard_webhooks_signature() {
        assert_eq!(header("webhook-signature", &[NEW]), Some(format!("v1,{STANDARD_NEW}")));
        assert_eq!(
            header("webhook-signature", &[NEW, OLD]),
            Some(format!("v1,{STANDARD_NEW} v1,{STANDARD_OLD}"))
        );
    }

    /// The example that Standard Webhooks libraries are tested with.
    #[test]
    fn published_standard_webhooks_vector() {
        let message = Message {
            event: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            delivery: "",
            attempt: 1,
            timestamp: 1_614_265_330,
            body: br#"{"test": 2432232314}"#,
        };
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()];
        assert_eq!(standard_signature(&message, &secrets), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_not_base64_signs_only_in_our_form() {
        assert_eq!(header("webhook-signature", &["whsec_not base64!"]), None);
        assert_eq!(
            header("webhook-signature", &["whsec_not base64!", OLD]),
            Some(format!("v1,{STANDARD_OLD}"))
        );
        assert!(header("pg-signature", &["whsec_not base64!"]).is_some_and(|v| v.contains(",v1=")));
    }

    #[test]
    fn every_secret_of_ours_decodes_to_24_bytes() {
        for _ in 0..200 {
            assert_eq!(BASE64.decode(engine::ids::secret_text(32)).map(|key| key.len()), Ok(24));
        }
    }

    #[test]
    fn names_of_the_message_and_what_it_is() {
        for (name, value) in [
            ("webhook-id", "evt_0123456789ABCDEFG"),
            ("webhook-timestamp", "1767225600"),
            ("pg-delivery-id", "dlv_0123456789ABCDEFG"),
            ("pg-delivery-attempt", "3"),
            ("content-type", "application/json; charset=utf-8"),
            ("user-agent", concat!("PaymentGate/", env!("CARGO_PKG_VERSION"))),
        ] {
            assert_eq!(header(name, &[NEW]).as_deref(), Some(value), "{name}");
        }
        for (name, value) in headers(&message(), &[NEW.to_owned()]) {
            assert_eq!(outbound::check_header(&name, &value), Ok(()), "{name} cannot be sent");
        }
    }
}
