//! A webhook receiver that lives through every death of the gateway.

use api_gate::signature::SignedBody;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{BTreeMap, BTreeSet, HashMap};
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

/// What a callback of Gate tells: of which transaction, by our name of it, its status or the type and status
/// of each of its operations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Callback {
    name: String,
    what: &'static str,
    words: String,
}

impl Callback {
    pub fn new(name: &str, what: &'static str, words: &str) -> Callback {
        Callback { name: name.to_owned(), what, words: words.to_owned() }
    }

    fn read(body: &serde_json::Value) -> Option<Callback> {
        let name = body["meta"]["payment_id"].as_str()?;
        if let Some(status) = body["data"]["transaction"]["status"].as_str() {
            return Some(Callback::new(name, "transaction", status));
        }
        let operation =
            |o: &serde_json::Value| Some(format!("{}:{}", o["type"].as_str()?, o["status"].as_str()?));
        let words: Option<Vec<String>> =
            body["data"]["operations"].as_array()?.iter().map(operation).collect();
        Some(Callback::new(name, "operations", &words?.join(",")))
    }
}

#[derive(Default)]
struct Mail {
    events: HashMap<String, Arrived>,
    /// Callbacks of Gate by their delivery, which are among `events` too.
    callbacks: BTreeMap<String, Callback>,
    /// Signs them.
    secret: String,
    /// Signs notices of the site, which are among `callbacks` too.
    site_secret: String,
    life: usize,
    repeats: usize,
    wrong: Option<String>,
}

#[derive(Clone, Default)]
pub struct Inbox {
    mail: Arc<Mutex<Mail>>,
}

impl Inbox {
    /// Starts to receive on loopback; the addresses to subscribe, for callbacks of Gate, and for notices.
    pub async fn start(&self) -> Result<[String; 3], String> {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener =
            tokio::net::TcpListener::bind(address).await.map_err(|e| format!("no free port: {e}"))?;
        let base = format!("http://{}", listener.local_addr().map_err(|e| e.to_string())?);
        let app = Router::new().route("/hook", post(take)).route("/gate", post(take_callback));
        let app = app.route("/ipn", post(take_notice));
        let app = app.with_state(self.clone());
        tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(["hook", "gate", "ipn"].map(|path| format!("{base}/{path}")))
    }

    /// Whose signature callbacks must have.
    pub fn trust(&self, secret: &str) {
        secret.clone_into(&mut self.mail().secret);
    }

    /// The same for notices of the site.
    pub fn trust_site(&self, secret: &str) {
        secret.clone_into(&mut self.mail().site_secret);
    }

    /// Callbacks of `wanted` that did not come, and the number of those that came or need not come any more: a
    /// notice of a payment is not sent after the shop took that of its refund, which a death lets go first.
    pub fn missing(&self, wanted: &BTreeSet<Callback>) -> (Vec<Callback>, usize) {
        let mail = self.mail();
        let came: BTreeSet<&Callback> = mail.callbacks.values().collect();
        let overtaken = |c: &Callback| {
            c.what == "ipn" && c.words == "1" && came.contains(&Callback::new(&c.name, "ipn", "3"))
        };
        let (late, missing): (Vec<_>, Vec<_>) =
            wanted.iter().filter(|c| !came.contains(c)).partition(|c| overtaken(c));
        (missing.into_iter().cloned().collect(), mail.callbacks.len() + late.len())
    }

    pub fn callbacks(&self) -> usize {
        self.mail().callbacks.len()
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
        Inbox::count_in(&mut mail, id, attempt, body);
    }

    fn receive_callback(&self, delivery: Option<&str>, attempt: &str, body: &[u8]) {
        let mut mail = self.mail();
        let signed = SignedBody::read(body).is_ok_and(|b| b.verify(&[mail.secret.as_bytes()]).is_ok());
        let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let (Some(delivery), Some(callback), true) = (delivery, Callback::read(&parsed), signed) else {
            let shown = String::from_utf8_lossy(body);
            mail.wrong.get_or_insert(format!("a callback {delivery:?}, signed well: {signed}: {shown}"));
            return;
        };
        mail.callbacks.insert(delivery.to_owned(), callback);
        Inbox::count_in(&mut mail, delivery, attempt, body);
    }

    /// A notice of a site, by the headers that sign it.
    fn receive_notice(&self, delivery: Option<&str>, [timestamp, signature]: [&str; 2], body: &[u8]) {
        let mut mail = self.mail();
        let signed = signature_of(&mail.site_secret, timestamp, body) == signature;
        let parsed: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let (id, status) = (parsed["id"].as_str(), parsed["status"].as_i64());
        let named = parsed["deliveryId"].as_str() == delivery;
        let (Some(delivery), Some(id), Some(status), true) = (delivery, id, status, signed && named) else {
            let shown = String::from_utf8_lossy(body);
            mail.wrong.get_or_insert(format!("a notice {delivery:?}, signed well: {signed}: {shown}"));
            return;
        };
        mail.callbacks.insert(delivery.to_owned(), Callback::new(id, "ipn", &status.to_string()));
        let attempt = timestamp.to_owned();
        Inbox::count_in(&mut mail, delivery, &attempt, body);
    }

    fn count_in(mail: &mut Mail, id: &str, attempt: &str, body: &[u8]) {
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

async fn take_callback(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let attempt = header("x-gate-delivery-attempt").unwrap_or("?");
    inbox.receive_callback(header("x-gate-delivery"), attempt, &body);
    StatusCode::OK
}

async fn take_notice(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = ["x-signature-timestamp", "x-signature-hmac-sha256"].map(|name| header(name).unwrap_or(""));
    inbox.receive_notice(header("x-ipn-delivery-id"), signed, &body);
    StatusCode::OK
}

/// HMAC-SHA256 over `{timestamp}.{body}`, in hex, as shops compute it.
fn signature_of(secret: &str, timestamp: &str, body: &[u8]) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let Ok(mut mac) = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Callback, Inbox, signature_of};
    use std::collections::BTreeSet;

    #[test]
    fn callbacks_are_read_and_must_be_signed() {
        use api_gate::signature::{Variant, seal};
        let body = serde_json::json!({
            "meta": { "payment_id": "a" },
            "data": { "operations": [
                { "type": "sale", "status": "success" }, { "type": "refund", "status": "processing" }
            ] },
        });
        let body =
            |secret: &[u8]| seal(body.as_object().cloned().unwrap_or_default(), secret, Variant::Folded);
        let inbox = Inbox::default();
        inbox.trust("secret");
        inbox.receive_callback(Some("del_1"), "1", body(b"secret").as_bytes());
        let wanted = BTreeSet::from([
            Callback::new("a", "operations", "sale:success,refund:processing"),
            Callback::new("a", "transaction", "success"),
        ]);
        let missing = vec![Callback::new("a", "transaction", "success")];
        assert_eq!((inbox.missing(&wanted), inbox.count()), ((missing, 1), Ok((1, 0))));
        inbox.receive_callback(Some("del_2"), "1", body(b"other").as_bytes());
        assert!(inbox.count().expect_err("unsigned").contains("signed well: false"));
    }

    #[test]
    fn notices_are_read_and_must_be_signed() {
        let inbox = Inbox::default();
        inbox.trust_site("whsec_1");
        let body = br#"{"id":"65f0","status":-2,"deliveryId":"dlv_1"}"#;
        inbox.receive_notice(Some("dlv_1"), ["17", &signature_of("whsec_1", "17", body)], body);
        let wanted = BTreeSet::from([Callback::new("65f0", "ipn", "-2"), Callback::new("65f0", "ipn", "1")]);
        let missing = vec![Callback::new("65f0", "ipn", "1")];
        assert_eq!((inbox.missing(&wanted), inbox.count()), ((missing, 1), Ok((1, 0))));
        let body3 = br#"{"id":"65f0","status":3,"deliveryId":"dlv_3"}"#;
        inbox.receive_notice(Some("dlv_3"), ["17", &signature_of("whsec_1", "17", body3)], body3);
        assert_eq!(inbox.missing(&wanted), (vec![], 3), "the refund's notice overtook the payment's");
        inbox.receive_notice(Some("dlv_1"), ["18", &signature_of("whsec_1", "17", body)], body);
        assert!(inbox.count().expect_err("another time").contains("signed well: false"));
    }

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
