//! A blocking HTTP/1.1 client on one kept connection. It must know exactly one thing better than other
//! clients do: whether an answer came whole.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(5);
const BODY_MAX: usize = 4 << 20;

/// An answer that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub body: String,
    /// `Idempotent-Replayed: true`.
    pub replayed: bool,
}

/// A reply, whether the connection may be used again, and the requests a minute that the key may make.
type Whole = (Reply, bool, Option<u64>);

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

pub enum Failure {
    /// Nothing was sent.
    NotSent(Error),
    /// The request, or a part of it, is on its way; whether it was acted on is not known.
    NoAnswer(Error),
}

/// One connection with one API key.
pub struct Client {
    address: SocketAddr,
    key: String,
    stream: Option<BufReader<TcpStream>>,
    /// Requests a minute that the key may make, as the last answer said.
    pub limit: Option<u64>,
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

impl Client {
    /// A connection that is opened with its first request.
    pub fn new(address: SocketAddr, key: &str) -> Client {
        Client { address, key: key.to_owned(), stream: None, limit: None }
    }

    fn connect(&self) -> Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }

    pub fn get(&mut self, path: &str) -> std::result::Result<Reply, Failure> {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\n\r\n", self.key);
        self.exchange(&head)
    }

    pub fn post(
        &mut self,
        path: &str,
        idempotency_key: &str,
        form: &str,
    ) -> std::result::Result<Reply, Failure> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {idempotency_key}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.key,
            form.len()
        );
        self.exchange(&head)
    }

    /// A signed body: it is its own credential and its own key.
    pub fn post_signed(&mut self, path: &str, body: &str) -> std::result::Result<Reply, Failure> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n\
             {body}",
            body.len()
        );
        self.exchange(&head)
    }

    /// A JSON body with the key of this client, if it has one.
    pub fn json(
        &mut self,
        verb: &str,
        path: &str,
        idempotency_key: Option<&str>,
        body: &str,
    ) -> std::result::Result<Reply, Failure> {
        let mut head = format!("{verb} {path} HTTP/1.1\r\nHost: gateway\r\n");
        if !self.key.is_empty() {
            head.push_str(&format!("Authorization: Bearer {}\r\n", self.key));
        }
        if let Some(key) = idempotency_key {
            head.push_str(&format!("Idempotency-Key: {key}\r\n"));
        }
        let length = body.len();
        head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"));
        self.exchange(&head)
    }

    fn exchange(&mut self, request: &str) -> std::result::Result<Reply, Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect().map_err(Failure::NotSent)?,
        };
        let sent = stream.get_mut().write_all(request.as_bytes());
        let (reply, keep, limit) = sent.and_then(|()| read_reply(&mut stream)).map_err(Failure::NoAnswer)?;
        self.stream = keep.then_some(stream);
        self.limit = limit;
        Ok(reply)
    }
}

fn read_reply(stream: &mut impl BufRead) -> Result<Whole> {
    let status = read_line(stream)?;
    let status =
        status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|text| text.parse().ok());
    let status = status.ok_or_else(|| bad("no HTTP/1.1 status line"))?;
    let (mut length, mut keep, mut replayed, mut limit) = (None, true, false, None);
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header without a colon"))?;
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => length = value.parse().ok(),
            ("connection", value) => keep = !value.eq_ignore_ascii_case("close"),
            ("idempotent-replayed", value) => replayed = value == "true",
            ("x-ratelimit-limit", value) => limit = value.parse().ok(),
            _ => {}
        }
    }
    let length: usize =
        length.filter(|l| *l <= BODY_MAX).ok_or_else(|| bad("an answer without a fair length"))?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(|_| bad("an answer that is not text"))?;
    Ok((Reply { status, body, replayed }, keep, limit))
}

fn read_line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.by_ref().take(16 << 10).read_line(&mut line)?;
    let whole = line.strip_suffix("\r\n").map(str::to_owned);
    whole.ok_or_else(|| Error::new(ErrorKind::UnexpectedEof, "the connection was closed in mid-answer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_answers_are_answers() {
        let whole = "HTTP/1.1 201 Created\r\ncontent-length: 5\r\nIdempotent-Replayed: true\r\n\
                     X-RateLimit-Limit: 60\r\n\r\nhello";
        let expected = Reply { status: 201, body: "hello".to_owned(), replayed: true };
        assert_eq!(read_reply(&mut whole.as_bytes()).expect("whole"), (expected, true, Some(60)));
        for end in 0..whole.len() {
            assert!(read_reply(&mut &whole.as_bytes()[..end]).is_err(), "{end} bytes");
        }
    }
}
