use super::*;
use crate::demo;
use domain::rate::TierName;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start_in(folder: &Path) -> Gateway {
    start(options_in(folder)).await.expect("started")
}

pub(super) async fn send(base: &str, head: &str) -> String {
    let address = base.strip_prefix("http://").expect("a base address");
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("{head}\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

async fn get(base: &str, path: &str) -> String {
    send(base, &format!("GET {path} HTTP/1.1")).await
}

fn bases(gateway: &Gateway) -> [String; 4] {
    let stripe = gateway.stripe_url.clone().expect("a fourth listener");
    [gateway.api_url.clone(), gateway.admin_url.clone(), gateway.public_url.clone(), stripe]
}

#[tokio::test]
async fn every_listener_tells_its_health_and_names_its_requests() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = start_in(folder.path()).await;
    for base in bases(&gateway) {
        let answer = get(&base, "/health").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"status":"ok"}"#), "{answer}");
        assert!(answer.to_lowercase().contains("x-request-id: req_"), "{answer}");
        let answer = get(&base, "/internal/health").await;
        assert!(answer.contains(r#"{"status":"ok","checks":{"database":{"status":"ok","#), "{answer}");
        assert!(answer.contains(r#""kind":"sqlite""#) && answer.contains(r#""jobs_waiting":0"#), "{answer}");
        let proxied = send(&base, "GET /internal/health HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9").await;
        assert!(proxied.starts_with("HTTP/1.1 404"), "{proxied}");
        let lost = get(&base, "/no/such/path").await;
        assert!(
            lost.starts_with("HTTP/1.1 404") && lost.to_lowercase().contains("x-request-id: req_"),
            "{lost}"
        );
    }
    gateway.stop().await;
}

fn options_in(folder: &Path) -> GatewayOptions {
    GatewayOptions::new(Location::Sqlite(folder.join("x.db")), SealingKey::new([7; 32]))
}

/// Statuses of requests without a key from each of these addresses, as a proxy would write them.
async fn ask_as(base: &str, clients: &[&str]) -> Vec<String> {
    let mut statuses = Vec::new();
    for client in clients {
        let head = format!("GET /v2/balance HTTP/1.1\r\nX-Forwarded-For: {client}");
        statuses.push(send(base, &head).await.split(' ').nth(1).unwrap_or_default().to_owned());
    }
    statuses
}

#[tokio::test]
async fn limits_are_about_the_client_behind_a_trusted_proxy_and_never_about_a_header_of_others() {
    let allowed = usize::try_from(web::rate_limit::ANONYMOUS.per_minute).expect("fits");
    let folder = tempfile::tempdir().expect("a folder");
    let options = GatewayOptions {
        trusted_proxies: vec!["127.0.0.1".parse().expect("one")],
        ..options_in(folder.path())
    };
    let gateway = start(options).await.expect("started");
    let statuses = ask_as(&gateway.api_url, &vec!["192.0.2.7"; allowed + 1]).await;
    assert_eq!((statuses[allowed - 1].as_str(), statuses[allowed].as_str()), ("401", "429"));
    // Neighbours are not held up, nor is it of use to write other addresses before one's own.
    assert_eq!(ask_as(&gateway.api_url, &["192.0.2.8", "192.0.2.8, 192.0.2.7"]).await, ["401", "429"]);
    let head = "GET /v2/balance HTTP/1.1\r\nX-Forwarded-For: 192.0.2.9\r\nX-Request-ID: by-the-proxy";
    let answer = send(&gateway.api_url, head).await.to_lowercase();
    assert!(
        answer.contains("x-request-id: by-the-proxy\r\n") && answer.contains("\nrequest-id: req_"),
        "{answer}"
    );
    gateway.stop().await;

    let folder = tempfile::tempdir().expect("a folder");
    let gateway = start_in(folder.path()).await;
    let clients: Vec<String> = (0..=allowed).map(|n| format!("192.0.2.{n}")).collect();
    let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
    let statuses = ask_as(&gateway.api_url, &clients).await;
    assert_eq!((statuses[allowed - 1].as_str(), statuses[allowed].as_str()), ("401", "429"));
    let answer = send(&gateway.api_url, head).await.to_lowercase();
    assert!(answer.contains("x-request-id: req_") && !answer.contains("by-the-proxy"), "{answer}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_deep_check_is_for_those_who_are_near_and_know_the_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = GatewayOptions {
        trusted_proxies: vec!["127.0.0.1".parse().expect("one")],
        health_token: Some(Secret::parse("0123456789abcdef").expect("a token")),
        watched_folder: Some(folder.path().to_path_buf()),
        ..options_in(folder.path())
    };
    let gateway = start(options).await.expect("started");
    for base in bases(&gateway) {
        let ask = async |headers: &str| send(&base, &format!("GET /internal/health HTTP/1.1{headers}")).await;
        let told = ask("\r\nAuthorization: Bearer 0123456789abcdef").await;
        assert!(told.starts_with("HTTP/1.1 200") && told.contains(r#""disk":{"status":"#), "{told}");
        assert!(told.contains(r#""critical":true"#) && told.contains(r#""version":"#), "{told}");
        for wrong in ["", "\r\nAuthorization: Bearer 0123456789abcdeg"] {
            assert!(ask(wrong).await.starts_with("HTTP/1.1 401"), "{wrong}");
        }
        let near = ask("\r\nX-Forwarded-For: 10.0.0.9\r\nAuthorization: Bearer 0123456789abcdef").await;
        assert!(near.starts_with("HTTP/1.1 200") && !near.contains(r#""version""#), "{near}");
        let far = ask("\r\nX-Forwarded-For: 203.0.113.9\r\nAuthorization: Bearer 0123456789abcdef").await;
        assert!(far.starts_with("HTTP/1.1 404"), "{far}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn metrics_are_on_the_admin_listener_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = start_in(folder.path()).await;
    get(&gateway.api_url, "/health").await;
    let text = get(&gateway.admin_url, "/metrics").await;
    for part in [
        r#"paymentgate_http_requests_total{route="/health",method="GET",status="2xx"} 1"#,
        r#"paymentgate_http_request_duration_seconds_bucket{le="0.001",route="/health",method="GET"}"#,
        "paymentgate_store_commits_total",
        "paymentgate_deliveries_waiting 0",
        "paymentgate_process_start_time_seconds",
        "# EOF",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(get(&gateway.public_url, "/metrics").await.starts_with("HTTP/1.1 404"));
    assert!(get(&gateway.api_url, "/metrics").await.starts_with("HTTP/1.1 404"));
    let proxied = send(&gateway.admin_url, "GET /metrics HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9").await;
    assert!(proxied.starts_with("HTTP/1.1 404"), "{proxied}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_demo_keeps_its_keys_and_makes_new_ones_when_they_no_longer_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = start_in(folder.path()).await;
    let first = demo::prepare(&gateway.engine, folder.path(), None).await.expect("made");
    assert_eq!(first.tier, TierName::Sandbox);
    assert_eq!(crate::data_dir::mode(&first.file).expect("mode"), 0o600);
    let greeting = demo::greeting(&gateway, &first);
    assert!(greeting.contains(&first.secret_key) && greeting.contains(&gateway.api_url), "{greeting}");
    for line in [format!("  System key        {}", first.system_key), format!("{}/api/v1", gateway.admin_url)]
    {
        assert!(greeting.replace("localhost", "127.0.0.1").contains(&line), "{line}: {greeting}");
    }
    gateway.stop().await;

    let gateway = start_in(folder.path()).await;
    let again = demo::prepare(&gateway.engine, folder.path(), Some(TierName::Growth)).await.expect("found");
    assert_eq!((&again.secret_key, again.tier), (&first.secret_key, TierName::Growth));
    let kept = demo::prepare(&gateway.engine, folder.path(), None).await.expect("found");
    assert_eq!(kept.tier, TierName::Growth, "a start without a tier leaves it");
    assert_eq!(kept.system_key, first.system_key);
    let system = gateway.engine.admin_keys(None).await.expect("keys");
    gateway.engine.revoke_admin_key(None, None, system[0].id).await.expect("revoked");
    let anew = demo::prepare(&gateway.engine, folder.path(), None).await.expect("made anew");
    assert_eq!((&anew.secret_key, anew.system_key == first.system_key), (&first.secret_key, false));

    std::fs::remove_file(&first.file).expect("removed");
    let new = demo::prepare(&gateway.engine, folder.path(), None).await.expect("made again");
    assert_eq!(new.merchant, first.merchant, "the shop is the same");
    assert_ne!(new.secret_key, first.secret_key);
    assert_ne!(new.system_key, anew.system_key);
    assert!(gateway.engine.authenticate_admin_key(&anew.system_key).await.expect("asked").is_none());
    let keys = gateway.engine.list_keys(first.merchant).await.expect("keys");
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| !key.scope.mode.is_live()), "live keys are made by command only");
    gateway.stop().await;
}

#[tokio::test]
async fn a_taken_address_is_named_with_its_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let location = Location::Sqlite(folder.path().join("x.db"));
    let mut options = GatewayOptions::new(location, SealingKey::new([7; 32]));
    options.admin_listen = taken.local_addr().expect("an address");
    let told = format!("{:#}", start(options).await.err().expect("refused"));
    assert!(told.contains("admin_listen: cannot listen on") && told.contains("--admin-listen"), "{told}");
}

#[test]
fn a_listener_on_every_address_is_reached_on_loopback() {
    for (address, url) in [
        ("127.0.0.1:80", "http://127.0.0.1:80"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("192.0.2.1:1", "http://192.0.2.1:1"),
    ] {
        assert_eq!(url_of(address.parse().expect("an address")), url);
    }
}
