//! A webhook receiver that lives through every death of the gateway.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is kept of an event that arrived.
struct Arrived {
    /// Digest of the body: every repeat must bring the same bytes.
    digest: u64,
    /// The gateway's life in which it came last, when, and which attempt it said it was.
    life: usize,
    at: Instant,
    attempt: String,
}

#[derive(Default)]
struct Mail {
    events: HashMap<String, Arrived>,
    life: usize,
    repeats: usize,
    wrong: Option<String>,
}

#[derive(Clone, Default)]
pub struct Inbox {
    mail: Arc<Mutex<Mail>>,
}

impl Inbox {
    /// Starts to receive on loopback; the address to subscribe.
    pub async fn start(&self) -> Result<String, String> {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener =
            tokio::net::TcpListener::bind(address).await.map_err(|e| format!("no free port: {e}"))?;
        let url = format!("http://{}/hook", listener.local_addr().map_err(|e| e.to_string())?);
        let app = Router::new().route("/hook", post(take)).with_state(self.clone());
        tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(url)
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway has died: what was on its way then may come again.
    pub fn next_life(&self) {
        self.mail().life += 1;
    }

    pub fn has(&self, event: &str) -> bool {
        self.mail().events.contains_key(event)
    }

    /// Events that arrived, and repeats that a death explains.
    ///
    /// # Errors
    /// The first event that came twice in one life, changed from one time to the next, or was not
    /// readable.
    pub fn count(&self) -> Result<(usize, usize), String> {
        let mail = self.mail();
        match &mail.wrong {
            Some(wrong) => Err(wrong.clone()),
            None => Ok((mail.events.len(), mail.repeats)),
        }
    }

    fn receive(&self, header: Option<&str>, attempt: &str, body: &[u8]) {
        let mut mail = self.mail();
        let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(id) = parsed["id"].as_str().filter(|id| Some(*id) == header) else {
            mail.wrong.get_or_insert(format!("a webhook under id {header:?} with another in its body"));
            return;
        };
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let (life, attempt) = (mail.life, attempt.to_owned());
        let arrived = Arrived { digest: hasher.finish(), life, at: Instant::now(), attempt };
        let wrong = match mail.events.entry(id.to_owned()) {
            Entry::Vacant(place) => {
                place.insert(arrived);
                return;
            }
            Entry::Occupied(known) if known.get().digest != arrived.digest => {
                format!("{id} came with two bodies")
            }
            Entry::Occupied(known) if known.get().life == arrived.life => {
                let (first, after) = (known.get(), arrived.at - known.get().at);
                format!(
                    "{id} came twice in life {life}: attempts {} and {}, {after:?} apart",
                    first.attempt, arrived.attempt
                )
            }
            Entry::Occupied(mut known) => {
                known.insert(arrived);
                mail.repeats += 1;
                return;
            }
        };
        mail.wrong.get_or_insert(wrong);
    }
}

async fn take(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    inbox.receive(header("webhook-id"), header("pg-delivery-attempt").unwrap_or("?"), &body);
    StatusCode::OK
}

#[cfg(test)]
mod tests {
    use super::Inbox;

    #[test]
    fn repeats_need_a_death_between_them() {
        let inbox = Inbox::default();
        inbox.receive(Some("evt_1"), "1", br#"{"id":"evt_1"}"#);
        inbox.next_life();
        inbox.receive(Some("evt_1"), "1", br#"{"id":"evt_1"}"#);
        assert_eq!(inbox.count(), Ok((1, 1)));
        assert!(inbox.has("evt_1") && !inbox.has("evt_2"));
        inbox.receive(Some("evt_1"), "1", br#"{"id":"evt_1"}"#);
        assert!(inbox.count().expect_err("twice").contains("twice in life 1"));
        for (header, body) in
            [(Some("evt_1"), r#"{"id":"evt_1" }"#), (Some("evt_2"), r#"{"id":"evt_1"}"#), (None, "")]
        {
            let inbox = Inbox::default();
            inbox.receive(Some("evt_1"), "1", br#"{"id":"evt_1"}"#);
            inbox.next_life();
            inbox.receive(header, "2", body.as_bytes());
            assert!(inbox.count().is_err(), "{header:?} {body}");
        }
    }
}
