//! Answers of any length, written piece by piece.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use std::future::Future;
use std::time::Duration;

/// How long a receiver may take for one piece.
const PIECE_TIME: Duration = Duration::from_secs(60);

/// Where the pieces of a body go. Dropped before its end, it breaks the connection: an answer that is not whole
/// must not look as if it were.
pub struct Pieces {
    sender: Option<Sender<Bytes, std::io::Error>>,
}

/// Nobody takes any more of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl Pieces {
    /// Hands on a piece. Waits until there is room for it, so that one piece is held at most.
    ///
    /// # Errors
    /// [`Gone`] when the receiver has left, or takes nothing for a minute.
    pub async fn send(&mut self, piece: Bytes) -> Result<(), Gone> {
        if piece.is_empty() {
            return Ok(());
        }
        let sender = self.sender.as_mut().ok_or(Gone)?;
        match tokio::time::timeout(PIECE_TIME, sender.send_data(piece)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// The body is whole.
    pub fn end(mut self) {
        self.sender = None;
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.abort(std::io::Error::other("the answer ended before it was whole"));
        }
    }
}

/// A body that `write` writes in a task of its own, as fast as it is read.
pub fn body<F>(write: impl FnOnce(Pieces) -> F) -> Body
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, body) = Channel::new(1);
    tokio::spawn(write(Pieces { sender: Some(sender) }));
    Body::new(body)
}

/// An answer that is saved as a file.
pub struct Download {
    /// Of our own making: without quotes.
    pub name: String,
    /// Its media type.
    pub kind: &'static str,
    pub body: Body,
}

/// Tables with the names of their columns in the first row.
pub const CSV: &str = "text/csv; charset=utf-8; header=present";

impl Download {
    pub fn response(self) -> Response {
        let mut response = Response::new(self.body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(saved) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", self.name)) {
            headers.insert(header::CONTENT_DISPOSITION, saved);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn what_is_sent_is_read_in_order() {
        let whole = body(|mut pieces| async move {
            for n in 0..100 {
                pieces.send(Bytes::from(format!("{n},"))).await.expect("taken");
            }
            pieces.send(Bytes::new()).await.expect("nothing to take");
            pieces.end();
        });
        let read = whole.collect().await.expect("whole").to_bytes();
        let expected: String = (0..100).map(|n| format!("{n},")).collect();
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn what_is_not_ended_is_an_error() {
        let broken = body(|mut pieces| async move {
            pieces.send(Bytes::from_static(b"half")).await.expect("taken");
        });
        broken.collect().await.expect_err("it was not whole");
        let panicked = body(|pieces| async move {
            let _held = pieces;
            panic!("a defect");
        });
        panicked.collect().await.expect_err("it was not whole");
    }

    #[tokio::test]
    async fn a_receiver_that_leaves_ends_the_writing() {
        let (told, ended) = tokio::sync::oneshot::channel();
        let endless = body(|mut pieces| async move {
            while pieces.send(Bytes::from_static(b"more")).await.is_ok() {}
            let _ = told.send(());
        });
        drop(endless);
        ended.await.expect("it ended");
    }
}
