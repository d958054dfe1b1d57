//! TCP, TLS and HTTP set-up towards vetted addresses.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::client::SendError;
use crate::destination::Destination;
use crate::pool::{Connection, IDLE_TIMEOUT, Pool};

/// For all addresses of a name together, TLS handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Status line and headers of a response.
const MAX_RESPONSE_HEAD: usize = 32 * 1024;

/// TLS 1.2 and 1.3 with the ring provider, HTTP/1.1 only.
pub(crate) fn tls_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Opens a connection to one of `addresses`, which must have been vetted for this destination.
pub(crate) async fn connect(
    destination: &Destination,
    addresses: &[SocketAddr],
    tls: &TlsConnector,
    pool: &Arc<Pool>,
) -> Result<Connection, SendError> {
    let open = async {
        let (stream, peer) = dial(addresses).await?;
        if !destination.tls {
            return http_connection(stream, peer, pool).await;
        }
        let name = server_name(&destination.host).ok_or(SendError::Tls)?;
        let stream = tls.connect(name, stream).await.map_err(|error| {
            tracing::debug!(host = %destination.host, %error, "TLS handshake failed");
            SendError::Tls
        })?;
        http_connection(stream, peer, pool).await
    };
    tokio::time::timeout(CONNECT_TIMEOUT, open).await.unwrap_or(Err(SendError::Timeout))
}

fn server_name(host: &Host<String>) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).ok(),
        Host::Ipv4(ip) => Some(ServerName::IpAddress(IpAddr::V4(*ip).into())),
        Host::Ipv6(ip) => Some(ServerName::IpAddress(IpAddr::V6(*ip).into())),
    }
}

/// Tries the addresses in order. Each gets an equal share of the time left, so that one which drops
/// packets (broken IPv6, say) does not keep the others from being tried.
async fn dial(addresses: &[SocketAddr]) -> Result<(TcpStream, IpAddr), SendError> {
    let end = Instant::now() + CONNECT_TIMEOUT;
    let mut failure = SendError::Connect;
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(Instant::now()) / left;
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without this a small request can wait for the receiver's delayed acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok((stream, address.ip()));
            }
            Ok(Err(_)) => failure = SendError::Connect,
            Err(_) => failure = SendError::Timeout,
        }
    }
    Err(failure)
}

async fn http_connection<S>(stream: S, peer: IpAddr, pool: &Arc<Pool>) -> Result<Connection, SendError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let read_allowance = Arc::new(AtomicUsize::new(0));
    let metered = Metered { stream, allowance: Arc::clone(&read_allowance) };
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_RESPONSE_HEAD)
        .max_header_size(MAX_RESPONSE_HEAD)
        .handshake(TokioIo::new(metered))
        .await
        .map_err(|_| SendError::Http)?;
    let pool = Arc::downgrade(pool);
    let driver = tokio::spawn(async move {
        let mut connection = pin!(connection);
        loop {
            tokio::select! {
                _ = &mut connection => return,
                () = tokio::time::sleep(IDLE_TIMEOUT) => match pool.upgrade() {
                    // Idle connections are swept by whichever connections exist, so that none outlives
                    // its time once traffic stops.
                    Some(pool) => pool.sweep(),
                    None => return,
                },
            }
        }
    });
    Ok(Connection::new(sender, peer, read_allowance, driver.abort_handle()))
}

/// Counts what the other side sends. The last line of defence against senders that stay within every
/// limit of the parser and still never end: interim responses, chunk extensions, trailers.
struct Metered<S> {
    stream: S,
    allowance: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let received = buf.filled().len().saturating_sub(before);
        let left = self.allowance.load(Ordering::Relaxed);
        match left.checked_sub(received) {
            Some(left) => {
                self.allowance.store(left, Ordering::Relaxed);
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "response too large"))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
