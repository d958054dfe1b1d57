//! One attempt: sign, send, record.

use super::Courier;
use crate::sign;
use domain::id::DeliveryId;
use domain::webhook::DeliveryKind;
use engine::Engine;
use engine::events::{Attempted, Claimed};
use outbound::{Answer, MAX_BODY_EXCERPT, Request, SendError};
use std::time::Duration;
use tokio::time::Instant;

/// A claim lasts a minute and may be 15 s old before the attempt; recording takes some seconds.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
/// Pauses between tries to record an attempt.
const RECORD_AGAIN: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// What the scheduler learns from an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Impression {
    /// From the start to the end of the answer.
    pub took: Duration,
    /// Whether the receiver took it.
    pub delivered: bool,
}

pub(super) async fn deliver(courier: &Courier, claimed: Claimed) -> Impression {
    let engine = &courier.engine;
    let Claimed { delivery, endpoint, url, event_type, body, secrets } = claimed;
    let started_at = engine.now();
    let (event, id) = (delivery.event.to_string(), delivery.id.to_string());
    let attempt = delivery.attempts.saturating_add(1);
    let message =
        sign::Message { event: &event, delivery: &id, attempt, timestamp: started_at.secs(), body: &body };
    let headers = match delivery.kind {
        DeliveryKind::V2 => sign::headers(&message, &secrets),
        DeliveryKind::Gate => sign::gate_headers(&message),
        DeliveryKind::Ipn => sign::ipn_headers(&message, &secrets, ipn_version(message.body)),
    };
    let timeout = courier.options.delivery_timeout.min(TIMEOUT_MAX);
    let request = Request { url: url.clone(), headers, body: body.into(), timeout };
    let start = Instant::now();
    let sent = courier.client.post(request, engine.egress(delivery.scope)).await;
    let took = start.elapsed();
    let (result, response, retry_after) = outcome(sent);
    let delivered = matches!(result, Ok(status) if delivery.kind.takes(status));
    tracing::debug!(delivery = id, endpoint = %endpoint.id, event_type, attempt, ?result, ?took, "webhook attempt");
    let attempted = Attempted {
        resent_from: delivery.resent_from,
        started_at,
        duration_us: micros(took),
        url,
        result,
        response,
        retry_after,
    };
    record(engine, delivery.id, attempted).await;
    Impression { took, delivered }
}

/// Which version of notices a frozen body is: only the second names itself.
fn ipn_version(body: &[u8]) -> i64 {
    let marked = b"\"schemaVersion\":2";
    if body.windows(marked.len()).any(|part| part == marked) { 2 } else { 1 }
}

type Outcome = (Result<u16, String>, Option<String>, Option<i64>);

fn outcome(sent: Result<Answer, SendError>) -> Outcome {
    match sent {
        Ok(answer) => {
            (Ok(answer.status), Some(excerpt(&answer.body_excerpt)), answer.retry_after.map(micros))
        }
        Err(error) => (Err(error.class().to_owned()), None, None),
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// Records the attempt. Should the database stay away, the claim expires and the delivery is sent
/// again: receivers see an event at least once.
async fn record(engine: &Engine, id: DeliveryId, attempted: Attempted) {
    let mut pauses = RECORD_AGAIN.iter();
    loop {
        let Err(error) = engine.settle_delivery(id, attempted.clone(), jitter()).await else { return };
        let Some(pause) = pauses.next() else {
            tracing::warn!(delivery = %id, ?error, "an attempt could not be recorded; it will be made again");
            return;
        };
        tokio::time::sleep(*pause).await;
    }
}

/// Uniform from 0 to 1000, but for the last bits.
fn jitter() -> u16 {
    let mut bytes = [0; 4];
    engine::ids::random(&mut bytes);
    u16::try_from(u32::from_le_bytes(bytes) % 1_001).unwrap_or(500)
}

/// A receiver's answer as text for the delivery log: at most [`MAX_BODY_EXCERPT`] bytes, and no control
/// character but line breaks and tabs (terminals obey others, and PostgreSQL stores no NUL).
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c };
        if clean.len() + c.len_utf8() > MAX_BODY_EXCERPT {
            break;
        }
        clean.push(c);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_bounded_clean_text() {
        for (body, text) in [
            (&b""[..], ""),
            (b"ok", "ok"),
            (b"a\r\nb\tc", "a\nb\tc"),
            (b"a\rb\0c\x1b[31m\x7f", "a\u{fffd}b\u{fffd}c\u{fffd}[31m\u{fffd}"),
            (b"\xff\xfeA", "\u{fffd}\u{fffd}A"),
            ("caf\u{e9} \u{85}".as_bytes(), "caf\u{e9} \u{fffd}"),
        ] {
            assert_eq!(excerpt(body), text, "{body:?}");
        }
        // Each broken byte becomes three; the bound holds for the text, and falls between characters.
        let broken = excerpt(&[0xff; MAX_BODY_EXCERPT]);
        assert_eq!(broken.len(), MAX_BODY_EXCERPT / 3 * 3);
        assert_eq!(excerpt("x".repeat(MAX_BODY_EXCERPT + 1).as_bytes()).len(), MAX_BODY_EXCERPT);
    }

    #[test]
    fn outcomes_name_status_or_class() {
        let answer = Answer {
            status: 503,
            body_excerpt: b"busy".to_vec(),
            retry_after: Some(Duration::from_secs(7)),
            elapsed: Duration::ZERO,
        };
        assert_eq!(outcome(Ok(answer)), (Ok(503), Some("busy".to_owned()), Some(7_000_000)));
        assert_eq!(outcome(Err(SendError::Timeout)), (Err("timeout".to_owned()), None, None));
        assert_eq!(outcome(Err(SendError::BlockedAddress)), (Err("blocked_ip".to_owned()), None, None));
    }

    #[test]
    fn jitter_stays_in_range_and_varies() {
        let drawn: Vec<u16> = (0..2_000).map(|_| jitter()).collect();
        assert!(drawn.iter().all(|n| *n <= 1_000));
        assert!(drawn.iter().any(|n| *n < 100) && drawn.iter().any(|n| *n > 900));
    }
}
