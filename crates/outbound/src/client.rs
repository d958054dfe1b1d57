//! The client itself: one guarded POST.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;
use tokio_rustls::TlsConnector;

use crate::address::Policy;
use crate::answer::{Answer, read_excerpt, retry_after};
use crate::connect;
use crate::destination::{self, Destination, UrlRefusal};
use crate::headers::{self, HeaderRefusal};
use crate::pool::{Connection, Key, Pool};
use crate::resolve::{Resolve, SystemResolver, vetted_addresses};

/// The longest total time one request may be given. Longer timeouts are cut to this.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// What the other side may send in answer to one request: head, body excerpt in the costliest chunked
/// coding (six bytes for one), and read-ahead.
const READ_ALLOWANCE: usize = 256 * 1024;

/// A connection is put back for reuse if it is ready this soon after its response.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(20);

/// One POST. Built by the caller, judged by [`Client::post`].
#[derive(Debug, Clone)]
pub struct Request {
    /// Absolute URL, judged again under the policy of each call.
    pub url: String,
    /// Names and values, sent in this order. See [`crate::check_header`] for what is refused. `Accept`,
    /// `Accept-Encoding` and `User-Agent` have defaults; `Host` and `Content-Length` are set by the client.
    pub headers: Vec<(String, String)>,
    /// Sent exactly as given.
    pub body: Bytes,
    /// Total time, from name resolution to the end of the answer. At most [`MAX_TIMEOUT`].
    pub timeout: Duration,
}

/// Why there is no answer. Coarse, and safe to show to a merchant: neither addresses nor the difference
/// between a closed and a filtered port of a forbidden host can be read from it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The name has no address, or its name server did not answer in time.
    #[error("The host name could not be resolved. Check its DNS records.")]
    Dns,
    /// At least one of the name's addresses is private or reserved. Nothing was sent.
    #[error(
        "The host resolves to an address that is not public. Remove private addresses from its DNS records."
    )]
    BlockedAddress,
    /// No address accepted a connection. Nothing was sent.
    #[error("The host refused the connection. Check that the server is running and reachable.")]
    Connect,
    /// The handshake failed: certificate expired, self-signed, for another name, or TLS older than 1.2.
    #[error(
        "A secure connection could not be made. Check that the certificate is valid for this host and that \
         TLS 1.2 or newer is enabled."
    )]
    Tls,
    /// No connection within 5 s, or no complete answer within the request's time. The receiver may have
    /// acted on the request.
    #[error("The host did not answer in time. Answer first, then do slow work.")]
    Timeout,
    /// The answer was not valid HTTP/1.1, was too large in its head, or ended early. The receiver may have
    /// acted on the request.
    #[error("The host's answer was not a complete HTTP response. Check what the server sends.")]
    Http,
    /// The URL is not allowed under the policy. Nothing was sent.
    #[error(transparent)]
    Url(#[from] UrlRefusal),
    /// A header is not allowed. Nothing was sent.
    #[error(transparent)]
    Header(#[from] HeaderRefusal),
}

impl SendError {
    /// A stable word for logs and attempt records: `dns`, `blocked_ip`, `connect`, `tls`, `timeout`,
    /// `http`, `url` or `header`. An IP literal or internal name is `blocked_ip`, as if it had resolved so.
    pub fn class(&self) -> &'static str {
        match self {
            SendError::Dns => "dns",
            SendError::BlockedAddress => "blocked_ip",
            SendError::Connect => "connect",
            SendError::Tls => "tls",
            SendError::Timeout => "timeout",
            SendError::Http => "http",
            SendError::Url(UrlRefusal::Address | UrlRefusal::InternalHost) => "blocked_ip",
            SendError::Url(_) => "url",
            SendError::Header(_) => "header",
        }
    }
}

/// Why additional root certificates were not accepted.
#[derive(Debug, Error)]
pub enum RootsError {
    /// No `CERTIFICATE` block, or a damaged one.
    #[error("The root certificates are not valid PEM: {0}. Give a file with `BEGIN CERTIFICATE` blocks.")]
    Pem(String),
    /// A certificate that cannot be a trust anchor, or TLS could not be set up.
    #[error("A root certificate cannot be used: {0}. Give the certificate authority's own certificate.")]
    Certificate(#[from] rustls::Error),
}

/// The guarded HTTP client. Cheap to clone; clones share their connections. Use one per process.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    resolver: Box<dyn Resolve>,
    tls: TlsConnector,
    pool: Arc<Pool>,
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl Client {
    /// A client that trusts Mozilla's root certificates.
    ///
    /// # Panics
    /// If the TLS provider built into the product has no usable cipher suite, which depends on no input.
    pub fn new() -> Client {
        Client::assemble(public_roots(), Box::new(SystemResolver::new()))
            .expect("the ring provider supports TLS 1.2 and 1.3")
    }

    /// A client that trusts the certificates in `pem` in addition to Mozilla's, for a private certificate
    /// authority. Trust is not permission: the policy still decides which addresses are reached.
    pub fn with_extra_roots(pem: &[u8]) -> Result<Client, RootsError> {
        Client::assemble(roots_with(pem)?, Box::new(SystemResolver::new())).map_err(RootsError::from)
    }

    pub(crate) fn assemble(
        roots: RootCertStore,
        resolver: Box<dyn Resolve>,
    ) -> Result<Client, rustls::Error> {
        let tls = TlsConnector::from(Arc::new(connect::tls_config(roots)?));
        Ok(Client { inner: Arc::new(Inner { resolver, tls, pool: Arc::default() }) })
    }

    /// Sends one POST and reads the answer. Never follows redirects, never retries a request of which any
    /// byte may have been sent, never connects to an address `policy` does not allow.
    ///
    /// Must be called within a Tokio runtime. Dropping the future closes the connection.
    pub async fn post(&self, request: Request, policy: &Policy) -> Result<Answer, SendError> {
        let start = Instant::now();
        let destination = destination::parse(&request.url, policy)?;
        let timeout = request.timeout.min(MAX_TIMEOUT);
        let message = message(&destination, request)?;
        let exchange = self.inner.exchange(&destination, message, start);
        tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(SendError::Timeout))
    }
}

fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

fn roots_with(pem: &[u8]) -> Result<RootCertStore, RootsError> {
    let mut roots = public_roots();
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|error| RootsError::Pem(error.to_string()))?)?;
    }
    if roots.len() == before {
        return Err(RootsError::Pem("no certificate found".to_owned()));
    }
    Ok(roots)
}

type Message = http::Request<Full<Bytes>>;

fn message(destination: &Destination, request: Request) -> Result<Message, SendError> {
    let mut headers = headers::assemble(&request.headers)?;
    let host = HeaderValue::from_str(destination.authority()).map_err(|_| UrlRefusal::HostForm)?;
    headers.insert(header::HOST, host);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(request.body.len()));
    let mut message = http::Request::new(Full::new(request.body));
    *message.method_mut() = Method::POST;
    *message.uri_mut() = destination.target.clone().into();
    *message.headers_mut() = headers;
    Ok(message)
}

impl Inner {
    async fn exchange(
        &self,
        destination: &Destination,
        message: Message,
        start: Instant,
    ) -> Result<Answer, SendError> {
        let key = Key::of(destination);
        let (connection, response) = self.send(destination, &key, message).await?;
        let status = response.status().as_u16();
        if status < 200 {
            // 101 to a request that asked for no upgrade; the other interim responses are not answers.
            return Err(SendError::Http);
        }
        let retry_after = retry_after(response.headers(), SystemTime::now());
        let (body_excerpt, ended) =
            read_excerpt(response.into_body()).await.map_err(|error| classify(&error))?;
        let elapsed = start.elapsed();
        if ended {
            self.keep(key, connection).await;
        }
        Ok(Answer { status, body_excerpt, retry_after, elapsed })
    }

    /// Sends on an idle connection if there is one, else on a new one.
    async fn send(
        &self,
        destination: &Destination,
        key: &Key,
        mut message: Message,
    ) -> Result<(Connection, Response<Incoming>), SendError> {
        while let Some(mut connection) = self.pool.take(key) {
            connection.allow_reading(READ_ALLOWANCE);
            match connection.sender.try_send_request(message).await {
                Ok(response) => return Ok((connection, response)),
                // Given back unsent: the server had closed the idle connection. Anything else may have
                // reached the receiver, and a repeat is the caller's decision.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => message = unsent,
                    None => return Err(classify(error.error())),
                },
            }
        }
        let addresses = vetted_addresses(self.resolver.as_ref(), destination).await?;
        let mut connection = connect::connect(destination, &addresses, &self.tls, &self.pool).await?;
        connection.allow_reading(READ_ALLOWANCE);
        let response = connection.sender.send_request(message).await.map_err(|error| classify(&error))?;
        Ok((connection, response))
    }

    /// A receiver that answers before it has read the request, or asks to close, is not worth waiting for.
    async fn keep(&self, key: Key, mut connection: Connection) {
        if let Ok(Ok(())) = tokio::time::timeout(SETTLE_TIMEOUT, connection.sender.ready()).await {
            self.pool.put(key, connection);
        }
    }
}

/// TLS 1.3 servers report some handshake failures only after the client believes it is connected.
fn classify(error: &hyper::Error) -> SendError {
    let mut source = error.source();
    while let Some(cause) = source {
        let io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if cause.is::<rustls::Error>() || io.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return SendError::Tls;
        }
        source = cause.source();
    }
    tracing::debug!(%error, "no complete HTTP response");
    SendError::Http
}

#[cfg(test)]
#[path = "resolution_tests.rs"]
mod resolution_tests;
