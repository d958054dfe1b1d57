//! Name resolution under attack: the resolver is the attacker's, the sockets are real.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::resolve::Lookup;

/// Gives one prepared answer per lookup and fails when there are no more.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Vec<IpAddr>>>>,
    asked: Arc<AtomicUsize>,
}

impl Script {
    fn new(answers: &[&[&str]]) -> Script {
        let parse = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        Script { answers: Arc::new(Mutex::new(answers.iter().map(parse).collect())), ..Script::default() }
    }

    fn client(&self) -> Client {
        Client::assemble(public_roots(), Box::new(self.clone())).unwrap()
    }
}

impl Resolve for Script {
    fn lookup(&self, _host: &str, port: u16) -> Lookup {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move {
            let ips = answer.ok_or_else(|| io::Error::other("no such name"))?;
            Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
        })
    }
}

/// A name server that never answers.
struct Silent;

impl Resolve for Silent {
    fn lookup(&self, _host: &str, _port: u16) -> Lookup {
        Box::pin(std::future::pending())
    }
}

/// Answers each connection's first request with 200 and closes. The counter tells of any connection.
async fn victim() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    (port, connections)
}

fn request(url: String) -> Request {
    Request { url, headers: Vec::new(), body: Bytes::new(), timeout: Duration::from_secs(20) }
}

#[tokio::test]
async fn one_forbidden_answer_refuses_them_all() {
    let (port, connections) = victim().await;
    // Loopback is allowed here and plain http too, so that only the rule on names can refuse.
    let policy = Policy { allow_loopback: true, allow_http: true, extra_ports: vec![port] };
    for answer in [
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["127.0.0.1", "127.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["2606:4700::1111", "::1"],
        ["8.8.8.8", "::ffff:127.0.0.1"],
        ["8.8.8.8", "64:ff9b::7f00:1"],
        ["8.8.8.8", "169.254.169.254"],
        ["8.8.8.8", "0.0.0.0"],
    ] {
        let client = Script::new(&[&answer]).client();
        let error = client.post(request(format!("http://shop.example:{port}/")), &policy).await.unwrap_err();
        assert_eq!((error.class(), error), ("blocked_ip", SendError::BlockedAddress), "{answer:?}");
    }
    // Beyond the number that would be dialled, too.
    let mut many = vec!["8.8.8.8"; 50];
    many.push("127.0.0.1");
    let client = Script::new(&[&many]).client();
    let error = client.post(request(format!("http://shop.example:{port}/")), &policy).await.unwrap_err();
    assert_eq!(error, SendError::BlockedAddress);
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn localhost_reaches_loopback_only() {
    let (port, connections) = victim().await;
    let policy = Policy { allow_loopback: true, ..Policy::strict() };
    let script = Script::new(&[&["127.0.0.1"], &["127.0.0.1", "10.0.0.1"], &["8.8.8.8"], &["127.0.0.1"]]);
    let client = script.client();
    let url = format!("http://localhost:{port}/");
    assert_eq!(client.post(request(url.clone()), &policy).await.unwrap().status, 200);
    // Rebinding: the name is asked again for each connection, and judged again.
    for _ in 0..2 {
        let error = client.post(request(url.clone()), &policy).await.unwrap_err();
        assert_eq!(error, SendError::BlockedAddress);
    }
    assert_eq!(client.post(request(url), &policy).await.unwrap().status, 200);
    assert_eq!(script.asked.load(Ordering::SeqCst), 4);
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let (port, connections) = victim().await;
    let policy = Policy { allow_loopback: true, ..Policy::strict() };
    // Nothing listens on the first two.
    let client = Script::new(&[&["127.0.0.2", "127.0.0.3", "127.0.0.1"]]).client();
    let answer = client.post(request(format!("http://localhost:{port}/")), &policy).await.unwrap();
    assert_eq!((answer.status, connections.load(Ordering::SeqCst)), (200, 1));
}

#[tokio::test]
async fn names_without_an_answer_are_dns_errors() {
    let empty: &[&str] = &[];
    let client = Script::new(&[empty]).client();
    for _ in 0..2 {
        let error =
            client.post(request("https://shop.example/".to_owned()), &Policy::strict()).await.unwrap_err();
        assert_eq!((error.class(), error), ("dns", SendError::Dns));
    }
}

#[tokio::test]
async fn a_silent_name_server_is_given_up_on_before_the_request_times_out() {
    tokio::time::pause();
    let client = Client::assemble(public_roots(), Box::new(Silent)).unwrap();
    let start = tokio::time::Instant::now();
    let error =
        client.post(request("https://shop.example/".to_owned()), &Policy::strict()).await.unwrap_err();
    assert_eq!(error, SendError::Dns);
    assert_eq!(start.elapsed().as_secs(), 5);
}
