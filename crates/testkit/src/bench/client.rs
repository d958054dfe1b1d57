//! A lean HTTP/1.1 client on one kept connection. The load generator shares its cores with what it
//! measures, so it parses no more than it checks: the status, the length, the body.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_MAX: usize = 1 << 20;

/// An answer's status and body.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a str,
}

/// A page as it came over the wire.
pub struct Viewed {
    pub status: u16,
    pub gzip: bool,
    /// Bytes of the body, and of everything.
    pub body: usize,
    pub whole: usize,
}

/// One connection with one API key.
pub struct Connection {
    address: SocketAddr,
    key: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

fn bad(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

impl Connection {
    /// A connection that is opened with its first request.
    pub fn new(address: SocketAddr, key: &str) -> Connection {
        Connection { address, key: key.to_owned(), stream: None, buffer: Vec::with_capacity(8 * 1_024) }
    }

    /// Sends a form, or a `GET` when there is none, and reads the answer.
    ///
    /// # Errors
    /// When the connection fails, or the answer is no HTTP/1.1 with a length. The next request then
    /// opens a new connection.
    pub async fn send(
        &mut self,
        path: &str,
        idempotency_key: &str,
        form: Option<&str>,
    ) -> Result<Answer<'_>> {
        let head = match form {
            None => {
                format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\r\n", self.key)
            }
            Some(form) => format!(
                "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\nIdempotency-Key: {idempotency_key}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                self.key,
                form.len()
            ),
        };
        self.request(&head).await
    }

    /// Sends a signed body.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_signed(&mut self, path: &str, body: &str) -> Result<Answer<'_>> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n\
             {body}",
            body.len()
        );
        self.request(&head).await
    }

    /// Looks at a page as a browser does that takes gzip.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn view(&mut self, path: &str) -> Result<Viewed> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: text/html\r\nAccept-Language: en\r\n\
             Accept-Encoding: gzip\r\n\r\n"
        );
        let (status, body_at) = self.fetch(&head).await?;
        let head = self.buffer.get(..body_at).unwrap_or_default().to_ascii_lowercase();
        let gzip = head.windows(22).any(|part| part == b"content-encoding: gzip");
        Ok(Viewed { status, gzip, body: self.buffer.len() - body_at, whole: self.buffer.len() })
    }

    /// Requests a minute that the key may make, as the last answer said.
    pub fn limit(&self) -> Option<u64> {
        let head = std::str::from_utf8(&self.buffer).ok()?.split("\r\n\r\n").next()?;
        let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("x-ratelimit-limit"))?;
        value.trim().parse().ok()
    }

    async fn request(&mut self, text: &str) -> Result<Answer<'_>> {
        let (status, body_at) = self.fetch(text).await?;
        let body = self.buffer.get(body_at..).unwrap_or_default();
        Ok(Answer { status, body: std::str::from_utf8(body).map_err(|_| bad("an answer that is not text"))? })
    }

    /// Sends a request and reads the answer into the buffer: its status, and where its body begins.
    async fn fetch(&mut self, text: &str) -> Result<(u16, usize)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        let exchanged =
            tokio::time::timeout(PATIENCE, exchange(&mut stream, &mut self.buffer, text.as_bytes())).await;
        let Ok(exchanged) = exchanged else {
            return Err(Error::new(ErrorKind::TimedOut, "no answer in a minute"));
        };
        let (status, body_at, keep) = exchanged?;
        if keep {
            self.stream = Some(stream);
        }
        Ok((status, body_at))
    }
}

/// Status, where the body starts, and whether the connection may be used again.
async fn exchange(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    request: &[u8],
) -> Result<(u16, usize, bool)> {
    stream.write_all(request).await?;
    buffer.clear();
    let mut head: Option<(u16, usize, usize, bool)> = None;
    loop {
        if let Some((status, body_at, length, keep)) = head
            && buffer.len() >= body_at + length
        {
            return Ok((status, body_at, keep && buffer.len() == body_at + length));
        }
        if buffer.len() > ANSWER_MAX {
            return Err(bad("an answer larger than 1 MiB"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the connection was closed in mid-answer"));
        }
        if head.is_none() {
            head = parse_head(buffer)?;
        }
    }
}

/// Status, where the body starts, its length, and whether the connection stays; `None` while the head
/// is not complete.
fn parse_head(bytes: &[u8]) -> Result<Option<(u16, usize, usize, bool)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default())
        .map_err(|_| bad("a head that is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|rest| rest.get(..3));
    let status = status.and_then(|text| text.parse().ok()).ok_or_else(|| bad("no HTTP/1.1 status line"))?;
    let (mut length, mut keep) = (None, true);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("connection") {
            keep = !value.trim().eq_ignore_ascii_case("close");
        }
    }
    let length = length.ok_or_else(|| bad("an answer without a length"))?;
    Ok(Some((status, end + 4, length, keep)))
}

#[cfg(test)]
mod tests {
    use super::parse_head;

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\nConnection: close\r\n\r\nhello";
        assert_eq!(parse_head(answer).expect("a head"), Some((201, answer.len() - 5, 5, false)));
        assert_eq!(parse_head(&answer[..30]).expect("half a head"), None);
        for broken in
            ["HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 2\r\n\r\n"]
        {
            assert!(parse_head(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
