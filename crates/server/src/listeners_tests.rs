use super::*;
use axum::routing::get;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MS: Duration = Duration::from_millis(1);

fn router() -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(300 * MS).await;
                "slow"
            }),
        )
        .route("/endless", get(std::future::pending::<()>))
        .route("/large", get(|| async { vec![b'x'; 32 << 20] }))
}

async fn start(limits: Limits) -> (SocketAddr, Listeners) {
    let socket = bind("api_listen", ([127, 0, 0, 1], 0).into()).await.expect("bound");
    let address = socket.local_addr().expect("an address");
    (address, Listeners::start(vec![(socket, router())], limits))
}

/// Sends `text` and reads until the other side closes.
async fn talk(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn an_unfinished_head_is_cut_but_an_idle_connection_is_kept() {
    let limits = Limits { head_time: 150 * MS, idle_time: 1_500 * MS, ..Limits::default() };
    let (address, listeners) = start(limits).await;
    let started = Instant::now();
    assert_eq!(talk(address, "GET / HTTP/1.1\r\nHost: x\r\n").await, "");
    assert!(started.elapsed() < 1_200 * MS, "the idle time was used for a head");

    let mut stream = TcpStream::connect(address).await.expect("connected");
    let mut buffer = [0u8; 512];
    for _ in 0..2 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
        let n = stream.read(&mut buffer).await.expect("read");
        assert!(buffer[..n].starts_with(b"HTTP/1.1 200"), "the connection was closed while idle");
        tokio::time::sleep(400 * MS).await;
    }
    assert_eq!(
        stream.read(&mut buffer).await.expect("closed in order"),
        0,
        "an idle connection is closed at last"
    );
    listeners.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    let limits = Limits { connections: 2, write_time: 200 * MS, ..Limits::default() };
    let (address, listeners) = start(limits).await;
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    tokio::time::sleep(100 * MS).await;
    assert_eq!(listeners.slots.available_permits(), 0, "one connection, one acceptor that holds a slot");
    tokio::time::sleep(900 * MS).await;
    assert_eq!(listeners.slots.available_permits(), 1);
    listeners.stop().await;
}

#[tokio::test]
async fn an_overlong_head_is_refused() {
    let (address, listeners) = start(Limits { head_bytes: 4_096, ..Limits::default() }).await;
    let fits = format!("GET / HTTP/1.1\r\nConnection: close\r\nX: {}\r\n\r\n", "a".repeat(3_000));
    assert!(talk(address, &fits).await.starts_with("HTTP/1.1 200"));
    let long = format!("GET / HTTP/1.1\r\nConnection: close\r\nX: {}\r\n\r\n", "a".repeat(5_000));
    assert!(talk(address, &long).await.starts_with("HTTP/1.1 431"));
    listeners.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let (address, listeners) = start(Limits { connections: 1, ..Limits::default() }).await;
    let first = tokio::spawn(talk(address, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    tokio::time::sleep(50 * MS).await;
    let started = Instant::now();
    assert!(talk(address, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.contains("hello"));
    assert!(started.elapsed() >= 150 * MS, "it was served beside the first");
    assert!(first.await.expect("answered").contains("slow"));
    listeners.stop().await;
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight_and_accepts_nothing_more() {
    let (address, listeners) = start(Limits::default()).await;
    let idle = TcpStream::connect(address).await.expect("connected");
    let slow = tokio::spawn(talk(address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"));
    tokio::time::sleep(100 * MS).await;
    let started = Instant::now();
    listeners.stop().await;
    assert!(started.elapsed() < 5_000 * MS, "an idle connection held up the stop");
    assert!(slow.await.expect("answered").contains("slow"));
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_stop_cuts_what_does_not_end() {
    let (address, listeners) = start(Limits { drain_time: 100 * MS, ..Limits::default() }).await;
    let endless = tokio::spawn(talk(address, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"));
    tokio::time::sleep(50 * MS).await;
    let started = Instant::now();
    listeners.stop().await;
    assert!(started.elapsed() < 2_000 * MS);
    assert_eq!(endless.await.expect("ended"), "");
}
