//! Webhook endpoints, deliveries and the schedule of retries.

use crate::Metadata;
use crate::id::{DeliveryId, EventId, GateTokenId, StorefrontId, WebhookEndpointId};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::{HOUR, MICROS, MINUTE, Timestamp};
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum EndpointStatus { Enabled = "enabled", Disabled = "disabled" }
}

text_enum! {
    pub enum EndpointKind {
        /// Registered over REST v2.
        V2 = "v2",
        /// A Gate service's own: gets every callback of the service.
        Gate = "gate",
        /// Stands for the callback addresses of one origin that requests of a storefront name. Queues what
        /// goes there fairly; never disabled, since no one would enable it again.
        Direct = "direct",
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookEndpoint {
    pub id: WebhookEndpointId,
    pub scope: Scope,
    pub kind: EndpointKind,
    /// Whose it is, unless it is the merchant's own.
    pub storefront: Option<StorefrontId>,
    pub url: String,
    /// Event types, `*` for all, or `prefix.*`.
    pub enabled_events: Vec<String>,
    pub status: EndpointStatus,
    /// Why it was disabled, when the gateway did it.
    pub disabled_reason: Option<String>,
    pub description: Option<String>,
    pub api_version: Option<String>,
    pub metadata: Metadata,
    /// First failure since the last success; `None` while healthy.
    pub failing_since: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl DeliveryKind {
    /// Seconds from one attempt to the next.
    pub const fn delays(self) -> &'static [i64] {
        match self {
            DeliveryKind::V2 | DeliveryKind::Gate => &RETRY_DELAYS_S,
            DeliveryKind::Ipn => &IPN_DELAYS_S,
        }
    }

    /// Whether an answer with this status is a success.
    pub const fn takes(self, status: u16) -> bool {
        match self {
            DeliveryKind::V2 | DeliveryKind::Gate => status >= 200 && status < 300,
            DeliveryKind::Ipn => status == 200,
        }
    }
}

impl WebhookEndpoint {
    /// Whether this endpoint asked for events of `event_type`.
    pub fn wants(&self, event_type: &str) -> bool {
        self.status == EndpointStatus::Enabled
            && self.enabled_events.iter().any(|p| pattern_matches(p, event_type))
    }
}

/// `*` matches all, `charge.*` all below `charge.`, anything else only itself.
pub fn pattern_matches(pattern: &str, event_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some("") => true,
        Some(prefix) if prefix.ends_with('.') => event_type.starts_with(prefix),
        _ => pattern == event_type,
    }
}

text_enum! {
    pub enum DeliveryStatus { Pending = "pending", Succeeded = "succeeded", Failed = "failed" }
}

text_enum! {
    /// Which surface renders and signs the body.
    pub enum DeliveryKind {
        V2 = "v2",
        Gate = "gate",
        /// A notice to a shop of the Admin API.
        Ipn = "ipn",
    }
}

/// One event on its way to one address.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: DeliveryId,
    pub scope: Scope,
    pub event: EventId,
    pub endpoint: WebhookEndpointId,
    /// Where it goes, when not to the endpoint's own address.
    pub url: Option<String>,
    /// The Gate token whose secret signs it; the service's first one if `None`.
    pub token: Option<GateTokenId>,
    pub kind: DeliveryKind,
    pub status: DeliveryStatus,
    /// Attempts made so far.
    pub attempts: i64,
    /// Attempts made when it was last sent again by hand: the schedule of retries begins anew there.
    pub resent_from: Option<i64>,
    pub due_at: Timestamp,
    pub created_at: Timestamp,
}

/// Seconds from one attempt to the next: 5 s, 30 s, 2 min, 10 min, 30 min, 1, 2, 6, 12, 24 h.
/// The last attempt is therefore some 45.7 hours after the first.
pub const RETRY_DELAYS_S: [i64; 10] = [5, 30, 120, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400];
/// The same for notices to shops: three attempts in all, by their maker's rule.
pub const IPN_DELAYS_S: [i64; 2] = [30, 600];
/// An endpoint that has only failed for this long is disabled.
pub const DISABLE_AFTER_US: i64 = 72 * HOUR;
/// Least extra wait after 429 and after a timeout: the receiver asked for air.
pub const OVERLOAD_WAIT_US: i64 = MINUTE;
/// How long a rotated secret may go on signing.
pub const ROTATION_OVERLAP_MAX_S: i64 = 7 * 24 * 3_600;
pub const ROTATION_OVERLAP_DEFAULT_S: i64 = 24 * 3_600;

/// When to try again after attempt number `attempts_made` failed at `now`; `None` when the schedule
/// is used up. `delays`: seconds from one attempt to the next. `jitter` is a random number from 0 to 1000 that becomes ±10 %. `retry_after` is what
/// the receiver asked for, in microseconds: never earlier than the schedule, never past a day.
pub fn next_attempt(
    delays: &[i64],
    attempts_made: i64,
    now: Timestamp,
    jitter: u16,
    overloaded: bool,
    retry_after: Option<i64>,
) -> Option<Timestamp> {
    let index = usize::try_from(attempts_made - 1).ok()?;
    let base = delays.get(index)? * MICROS;
    let spread = i64::from(jitter.min(1_000)) - 500;
    let mut delay = base + base / 5_000 * spread;
    if overloaded {
        delay = delay.max(OVERLOAD_WAIT_US);
    }
    if let Some(asked) = retry_after {
        delay = delay.max(asked.min(24 * HOUR));
    }
    Some(now.plus(delay))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, event, expected) in [
            ("*", "charge.succeeded", true),
            ("charge.*", "charge.succeeded", true),
            ("charge.*", "charge.dispute.created", true),
            ("charge.*", "chargeback", false),
            ("charge*", "charge.succeeded", false),
            ("charge.succeeded", "charge.succeeded", true),
            ("charge.succeeded", "charge.failed", false),
        ] {
            assert_eq!(pattern_matches(pattern, event), expected, "{pattern} {event}");
        }
    }

    #[test]
    fn schedule_keeps_its_bounds() {
        let now = Timestamp(0);
        for (i, secs) in RETRY_DELAYS_S.iter().enumerate() {
            let made = i as i64 + 1;
            let low = next_attempt(&RETRY_DELAYS_S, made, now, 0, false, None).expect("within").0;
            let high = next_attempt(&RETRY_DELAYS_S, made, now, 1_000, false, None).expect("within").0;
            assert_eq!((low, high), (secs * 900_000, secs * 1_100_000), "step {made}");
        }
        assert_eq!(next_attempt(&RETRY_DELAYS_S, 11, now, 500, false, None), None);
        assert_eq!(next_attempt(&RETRY_DELAYS_S, 1, now, 500, true, None), Some(Timestamp(OVERLOAD_WAIT_US)));
        assert_eq!(
            next_attempt(&RETRY_DELAYS_S, 1, now, 500, false, Some(90 * MICROS)),
            Some(Timestamp(90 * MICROS))
        );
        assert_eq!(
            next_attempt(&RETRY_DELAYS_S, 1, now, 500, false, Some(1_000 * HOUR)),
            Some(Timestamp(24 * HOUR))
        );
        assert_eq!(next_attempt(&RETRY_DELAYS_S, 2, now, 500, false, Some(1)), Some(Timestamp(30 * MICROS)));
    }
}
