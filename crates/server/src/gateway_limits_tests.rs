//! Limits of the Admin API and the Main Backend, over real sockets. The tests are a trusted proxy, and say in whose
//! name they ask; a limit is reached long before a window ends.

use super::tests::send;
use super::*;
use domain::scope::Mode;
use engine::admin_keys::{NewAdminKey, system_grants};

const PER_MINUTE: usize = 100;

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn limits(&self) -> [i64; 2] {
        ["x-ratelimit-limit", "x-ratelimit-remaining"]
            .map(|name| self.header(name).and_then(|value| value.parse().ok()).unwrap_or(-1))
    }
}

/// Asks at `url` in the name of `client`, with a credential if there is one.
async fn ask(url: &str, path: &str, client: Option<&str>, bearer: Option<&str>) -> Answer {
    let mut head = format!("GET {path} HTTP/1.1");
    head.extend(client.map(|client| format!("\r\nX-Forwarded-For: {client}")));
    head.extend(bearer.map(|text| format!("\r\nAuthorization: Bearer {text}")));
    let answer = send(url, &head).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn started(limits: windows::Settings) -> (tempfile::TempDir, Gateway) {
    let folder = tempfile::tempdir().expect("a folder");
    let location = Location::Sqlite(folder.path().join("x.db"));
    let options = GatewayOptions {
        trusted_proxies: vec!["127.0.0.1".parse().expect("an address")],
        window_limits: limits,
        ..GatewayOptions::new(location, SealingKey::new([7; 32]))
    };
    (folder, start(options).await.expect("started"))
}

async fn system_key(gateway: &Gateway) -> String {
    key_for(gateway, Vec::new()).await
}

async fn key_for(gateway: &Gateway, networks: Vec<Network>) -> String {
    let new = NewAdminKey { name: "limits".to_owned(), mode: Mode::Test, grants: system_grants(), networks };
    gateway.engine.create_admin_key(None, None, new).await.expect("a key").1
}

const LIST: &str = "/api/v1/organizations";
const CLIENT: Option<&str> = Some("192.0.2.7");
const OTHER: Option<&str> = Some("192.0.2.8");

#[tokio::test]
async fn a_key_has_its_limit_and_no_request_more() {
    let (_folder, gateway) = started(windows::Settings::default()).await;
    let url = gateway.admin_url.clone();
    let (key, second) = (system_key(&gateway).await, system_key(&gateway).await);
    for taken in 1..=PER_MINUTE {
        // Both spellings of an address, and wherever the key is used, are one count.
        let path = if taken % 2 == 0 { LIST } else { "/v1/organizations" };
        let client = if taken % 3 == 0 { CLIENT } else { OTHER };
        let answer = ask(&url, path, client, Some(&key)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.limits(), [100, i64::try_from(PER_MINUTE - taken).expect("fits")]);
        assert!(answer.header("x-ratelimit-reset").is_some() && answer.header("retry-after").is_none());
    }
    let refused = ask(&url, LIST, CLIENT, Some(&key)).await;
    assert_eq!((refused.status, refused.limits()), (429, [100, 0]));
    let wait: u32 = refused.header("retry-after").and_then(|v| v.parse().ok()).expect("Retry-After");
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(refused.body.contains(r#""code":"rate_limit_exceeded""#), "{}", refused.body);

    // Another key has a count of its own, and so has the address without one.
    assert_eq!(ask(&url, LIST, CLIENT, Some(&second)).await.limits(), [100, 99]);
    assert_eq!(ask(&url, "/api/v1/api-key-scopes", CLIENT, None).await.limits(), [100, 99]);
    gateway.stop().await;
}

#[tokio::test]
async fn without_a_good_key_the_address_is_counted() {
    let (_folder, gateway) = started(windows::Settings::default()).await;
    let url = gateway.admin_url.clone();
    let key = system_key(&gateway).await;
    for n in 0..PER_MINUTE {
        // Made-up keys, none at all, public routes and paths that lead nowhere: all the same count.
        let made_up = format!("sk_test_{n:024x}.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let (path, bearer, status) = match n % 4 {
            0 => (LIST, Some(made_up.as_str()), 401),
            1 => (LIST, None, 401),
            2 => ("/api/v1/api-key-scopes", None, 200),
            _ => ("/api/v1/nowhere", None, 404),
        };
        assert_eq!(ask(&url, path, CLIENT, bearer).await.status, status, "{n}");
    }
    for (path, bearer) in
        [(LIST, None), (LIST, Some("sk_test_x")), ("/v1/nowhere", None), ("/api/v1/api-key-scopes", None)]
    {
        let refused = ask(&url, path, CLIENT, bearer).await;
        assert_eq!(refused.status, 429, "{path}");
        assert!(refused.header("retry-after").is_some());
    }
    // Neither a neighbour nor a good key at the same address is held up by that.
    assert_eq!(ask(&url, "/api/v1/api-key-scopes", OTHER, None).await.status, 200);
    assert_eq!(ask(&url, LIST, CLIENT, Some(&key)).await.limits(), [100, 99]);
    // The Main Backend counts by itself.
    let unknown = ask(&gateway.public_url, "/api/v1/checkouts/none", CLIENT, None).await;
    assert_eq!((unknown.status, unknown.limits()), (404, [100, 99]));
    gateway.stop().await;
}

#[tokio::test]
async fn two_hundred_at_once_are_counted_exactly() {
    let (_folder, gateway) = started(windows::Settings::default()).await;
    let key = system_key(&gateway).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..2 * PER_MINUTE {
        let (url, key) = (gateway.admin_url.clone(), key.clone());
        asking.spawn(async move { ask(&url, LIST, CLIENT, Some(&key)).await.status });
    }
    let statuses = asking.join_all().await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (PER_MINUTE, PER_MINUTE));
    gateway.stop().await;
}

#[tokio::test]
async fn the_long_window_refuses_when_the_minute_would_not() {
    let limits = windows::Settings { per_window: 30, ..windows::Settings::default() };
    let (_folder, gateway) = started(limits).await;
    let url = gateway.public_url.clone();
    for left in (0..30).rev() {
        assert_eq!(ask(&url, "/api/v1/checkouts/none", CLIENT, None).await.limits(), [30, left]);
    }
    let refused = ask(&url, "/api/v1/checkouts/none", CLIENT, None).await;
    let wait: u32 = refused.header("retry-after").and_then(|v| v.parse().ok()).expect("Retry-After");
    assert_eq!(refused.status, 429);
    assert!((200..=301).contains(&wait), "{wait}");
    // What a browser asks before it sends costs a look at the database, and counts as well.
    let question =
        "OPTIONS /api/v1/checkouts/none HTTP/1.1\r\nOrigin: https://shop.example.com\r\nX-Forwarded-For:";
    for _ in 0..30 {
        assert!(send(&url, &format!("{question} 192.0.2.8")).await.starts_with("HTTP/1.1 204"));
    }
    assert!(send(&url, &format!("{question} 192.0.2.8")).await.starts_with("HTTP/1.1 429"));
    gateway.stop().await;
}

#[tokio::test]
async fn the_white_list_is_about_the_client_and_not_the_proxy() {
    // This machine is exempt, as it is by default; and so is one network.
    let limits = windows::Settings { per_minute: 5, ..windows::Settings::default() };
    let exempt = [limits.exempt.clone(), vec!["198.51.100.0/24".parse().expect("a network")]].concat();
    let (_folder, gateway) = started(windows::Settings { exempt, ..limits }).await;
    let url = gateway.admin_url.clone();
    let path = "/api/v1/api-key-scopes";
    for client in [None, Some("198.51.100.9"), Some("::ffff:198.51.100.9"), Some("::1")] {
        for _ in 0..20 {
            let answer = ask(&url, path, client, None).await;
            assert_eq!((answer.status, answer.limits()), (200, [5, 5]), "{client:?}");
        }
    }
    // The proxy is on this machine, its clients are not; nor are they where they say that they are.
    for client in ["192.0.2.7", "127.0.0.1, 192.0.2.9", "2001:db8::1", "not-an-address"] {
        for _ in 0..5 {
            assert_eq!(ask(&url, path, Some(client), None).await.status, 200, "{client}");
        }
        assert_eq!(ask(&url, path, Some(client), None).await.status, 429, "{client}");
    }
    // One customer of an access network has a whole /64.
    assert_eq!(ask(&url, path, Some("2001:db8::ffff:1"), None).await.status, 429);
    assert_eq!(ask(&url, path, Some("2001:db8:0:1::1"), None).await.status, 200);
    gateway.stop().await;
}

#[tokio::test]
async fn a_list_of_a_key_is_about_the_client_and_not_the_proxy() {
    let networks = || Network::parse_list("127.0.0.1,198.51.100.0/24").expect("networks");
    let (_folder, gateway) = started(windows::Settings::default()).await;
    let key = key_for(&gateway, networks()).await;
    for (client, status) in [
        (None, 200),
        (Some("198.51.100.9"), 200),
        (Some("192.0.2.7"), 403),
        (Some("127.0.0.1, 192.0.2.7"), 403),
        (Some("198.51.100.9, 192.0.2.7"), 403),
        (Some("unknown"), 403),
    ] {
        let answer = ask(&gateway.admin_url, LIST, client, Some(&key)).await;
        assert_eq!(answer.status, status, "{client:?} {}", answer.body);
    }
    gateway.stop().await;

    // A proxy on this machine that was not declared does not lend its address to the world.
    let folder = tempfile::tempdir().expect("a folder");
    let location = Location::Sqlite(folder.path().join("x.db"));
    let gateway = start(GatewayOptions::new(location, SealingKey::new([7; 32]))).await.expect("started");
    let key = key_for(&gateway, networks()).await;
    for (client, status) in
        [(None, 200), (Some("192.0.2.7"), 403), (Some("198.51.100.9"), 403), (Some("127.0.0.1"), 403)]
    {
        assert_eq!(ask(&gateway.admin_url, LIST, client, Some(&key)).await.status, status, "{client:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn the_panel_of_another_host_and_no_other_page_may_call_the_admin_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let location = Location::Sqlite(folder.path().join("x.db"));
    let options = GatewayOptions {
        panel_origin: Some("https://panel.example.com".to_owned()),
        ..GatewayOptions::new(location, SealingKey::new([7; 32]))
    };
    let gateway = start(options).await.expect("started");
    let question = |origin: &str| {
        format!("OPTIONS {LIST} HTTP/1.1\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST")
    };
    let told = send(&gateway.admin_url, &question("https://panel.example.com")).await.to_lowercase();
    assert!(told.starts_with("http/1.1 204"), "{told}");
    for part in [
        "access-control-allow-origin: https://panel.example.com\r\n",
        "access-control-allow-credentials: true",
        "access-control-allow-headers: authorization",
        "vary: origin",
        "x-request-id: req_",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    for origin in [
        "https://evil.example.com",
        "null",
        "https://panel.example.com.evil.example",
        "http://panel.example.com",
    ] {
        let told = send(&gateway.admin_url, &question(origin)).await.to_lowercase();
        assert!(!told.starts_with("http/1.1 204") && !told.contains("access-control-allow"), "{told}");
    }
    // What the panel may call still asks for a credential.
    let plain = format!("GET {LIST} HTTP/1.1\r\nOrigin: https://panel.example.com");
    let told = send(&gateway.admin_url, &plain).await.to_lowercase();
    assert!(
        told.starts_with("http/1.1 401") && told.contains("access-control-expose-headers: x-request-id"),
        "{told}"
    );
    gateway.stop().await;
}
