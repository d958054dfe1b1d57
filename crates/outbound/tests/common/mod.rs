//! Receivers on real loopback sockets.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use outbound::{Answer, Client, Policy, Request, SendError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub struct Receiver {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    /// Runs `serve` for each accepted connection.
    pub async fn start<F, Fut>(serve: F) -> Receiver
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream));
            }
        });
        Receiver { address, connections }
    }

    /// Reads one request, writes `reply`, closes.
    pub async fn replying(reply: impl Into<Vec<u8>>) -> Receiver {
        let reply: Arc<[u8]> = reply.into().into();
        Receiver::start(move |mut stream| {
            let reply = Arc::clone(&reply);
            async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(&reply).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    /// Reads one request, writes `head`, then `piece` for as long as the client takes it. The second
    /// value is the number of bytes the client side accepted.
    pub async fn flooding(head: &'static [u8], piece: &'static [u8]) -> (Receiver, Arc<AtomicUsize>) {
        let written = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&written);
        let receiver = Receiver::start(move |mut stream| {
            let counter = Arc::clone(&counter);
            async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(head).await;
                let block = piece.repeat(1 + 16 * 1024 / piece.len());
                while counter.load(Ordering::SeqCst) < 100_000_000 && stream.write_all(&block).await.is_ok() {
                    counter.fetch_add(block.len(), Ordering::SeqCst);
                }
            }
        })
        .await;
        (receiver, written)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }
}

/// The head and body of the next request, or what came before the end of the stream.
pub async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .map_or(0, |(_, value)| value.trim().parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => seen.extend_from_slice(&buffer[..n]),
            _ => return text,
        }
    }
}

pub async fn answer_ok<S: AsyncWrite + Unpin>(stream: &mut S, body: &str) {
    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.flush().await;
}

pub fn loopback() -> Policy {
    Policy { allow_loopback: true, ..Policy::strict() }
}

pub fn request(url: impl Into<String>) -> Request {
    Request {
        url: url.into(),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: Bytes::from_static(b"{\"secret\":\"payload\"}"),
        timeout: Duration::from_secs(10),
    }
}

pub async fn post(url: impl Into<String>) -> Result<Answer, SendError> {
    Client::new().post(request(url), &loopback()).await
}
