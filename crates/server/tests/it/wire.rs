//! HTTP in bytes over blocking sockets: what a test says is what goes out.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use testkit::form_body;

/// No answer of the gateway takes longer than a minute.
const TIMEOUT: Duration = Duration::from_secs(70);

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Head, with names in lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}:");
        self.head.lines().find_map(|line| line.strip_prefix(prefix.as_str())).map(str::trim)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self.json()
    }
}

pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one answer; `None` if the connection ended before its first byte.
///
/// # Errors
/// When it ends, or is cut, in the middle.
pub fn read_answer(stream: &mut impl BufRead) -> io::Result<Option<Answer>> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return if head.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        if line == "\r\n" {
            break;
        }
        match line.split_once(':') {
            Some((name, value)) if !head.is_empty() => {
                head.push_str(&format!("{}:{value}", name.to_ascii_lowercase()));
            }
            _ => head.push_str(&line),
        }
    }
    let status =
        head.split(' ').nth(1).and_then(|digits| digits.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    let mut answer = Answer { status, head, body: String::new() };
    let length: Option<usize> = answer.header("content-length").and_then(|digits| digits.parse().ok());
    match length {
        Some(length) => {
            let mut body = vec![0; length];
            stream.read_exact(&mut body)?;
            answer.body = String::from_utf8_lossy(&body).into_owned();
        }
        None if answer.header("connection") == Some("close") => {
            stream.read_to_string(&mut answer.body)?;
        }
        None => {}
    }
    Ok(Some(answer))
}

/// What the other side says to `bytes`, and whether it then closes.
pub fn talk(address: SocketAddr, bytes: &[u8]) -> (Vec<Answer>, bool) {
    let mut stream = connect(address).expect("connected");
    // It may have heard enough before the last byte.
    let _ = stream.write_all(bytes);
    stream.set_read_timeout(Some(Duration::from_millis(1_500))).expect("set");
    let mut stream = BufReader::new(stream);
    let mut answers = Vec::new();
    loop {
        match read_answer(&mut stream) {
            Ok(Some(answer)) => answers.push(answer),
            Ok(None) => return (answers, true),
            Err(e) => {
                return (answers, !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
            }
        }
    }
}

/// A client of the API, with a connection for each request.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    key: String,
}

impl Client {
    pub fn new(address: SocketAddr, key: &str) -> Client {
        Client { address, key: key.to_owned() }
    }

    /// A request as bytes, with `connection: <connection>`.
    pub fn request(&self, method: &str, path: &str, form: &[(&str, &str)], connection: &str) -> Vec<u8> {
        let body = form_body(form);
        let kind = if form.is_empty() { "" } else { "content-type: application/x-www-form-urlencoded\r\n" };
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: {connection}\r\n\
             {kind}content-length: {}\r\n\r\n{body}",
            self.address,
            self.key,
            body.len()
        )
        .into_bytes()
    }

    /// One request; `Ok(None)` if the connection was closed without a word.
    ///
    /// # Errors
    /// When nobody listens, or the answer is cut.
    pub fn try_send(&self, method: &str, path: &str, form: &[(&str, &str)]) -> io::Result<Option<Answer>> {
        let mut stream = connect(self.address)?;
        stream.write_all(&self.request(method, path, form, "close"))?;
        read_answer(&mut BufReader::new(stream))
    }

    fn send(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        let answer = self.try_send(method, path, form).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        answer.unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[])
    }

    pub fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send("POST", path, form)
    }

    /// A request with a JSON body.
    pub fn post_json(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            self.key,
            body.len()
        );
        let answered = connect(self.address).and_then(|mut stream| {
            stream.write_all(request.as_bytes())?;
            read_answer(&mut BufReader::new(stream))
        });
        answered.ok().flatten().unwrap_or_else(|| panic!("POST {path}: no answer"))
    }

    /// A payment of 42 euros that succeeds at once.
    pub fn pay(&self) -> Answer {
        self.post("/v2/payment_intents", &PAYMENT)
    }
}

pub const PAYMENT: [(&str, &str); 4] =
    [("amount", "4200"), ("currency", "eur"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
