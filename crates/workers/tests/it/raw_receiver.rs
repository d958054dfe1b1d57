//! A receiver that answers in bytes of the test's choice, well or badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What every request gets.
#[derive(Clone, Debug)]
pub enum Manner {
    /// These bytes, and the end of the connection.
    Says(Vec<u8>),
    /// The same, after half a second.
    Dawdles(Vec<u8>),
    /// This head, then a byte every 100 ms for ever.
    Drips(&'static str),
    /// This head, then more without end.
    Floods(&'static str, &'static [u8]),
    /// Reads the request and never says a word.
    Hangs,
}

impl Manner {
    /// A whole answer with this status line's end, such as `200 OK`, and headers.
    pub fn answers(status: &str, headers: &str) -> Manner {
        Manner::Says(format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\n\r\n").into_bytes())
    }
}

pub struct RawReceiver {
    pub url: String,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl RawReceiver {
    pub async fn start(manner: Manner) -> RawReceiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (manner, count) = (manner.clone(), count.clone());
                connections.spawn(async move {
                    let _ = serve(stream, manner, &count).await;
                });
            }
        });
        RawReceiver { url, requests, task }
    }

    /// Whole requests that arrived.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for RawReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, manner: Manner, count: &AtomicUsize) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    read_request(&mut stream).await?;
    count.fetch_add(1, Ordering::SeqCst);
    match manner {
        Manner::Says(bytes) => stream.write_all(&bytes).await,
        Manner::Dawdles(bytes) => {
            tokio::time::sleep(Duration::from_millis(500)).await;
            stream.write_all(&bytes).await
        }
        Manner::Drips(head) => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                stream.write_all(b"x").await?;
            }
        }
        Manner::Floods(head, piece) => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(piece).await?;
            }
        }
        Manner::Hangs => std::future::pending().await,
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", digits)) => length = digits.parse().unwrap_or(0),
            Some(_) => {}
            None if line.starts_with("POST ") => {}
            None => break,
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(())
}
