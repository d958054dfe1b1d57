//! Receivers over TLS: only a valid certificate for the name gets the request.

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Receiver, answer_ok, loopback, read_request, request};
use outbound::{Client, RootsError, SendError};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

struct Authority {
    pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let (pem, der) = (certificate.pem(), certificate.der().clone());
        Authority { pem, certificate: der, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), private(&key))
    }

    fn client(&self) -> Client {
        Client::with_extra_roots(self.pem.as_bytes()).unwrap()
    }
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

fn server(
    identity: Identity,
    versions: &[&'static SupportedProtocolVersion],
    ca: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
    let builder = match ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.certificate.clone()).unwrap();
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            )
        }
    };
    builder.with_single_cert(vec![identity.0], identity.1).unwrap()
}

/// Answers 200 with the request it decrypted, if the handshake succeeds.
async fn tls_receiver(config: ServerConfig) -> Receiver {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Receiver::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            loop {
                let text = read_request(&mut stream).await;
                if text.is_empty() {
                    return;
                }
                answer_ok(&mut stream, &text).await;
            }
        }
    })
    .await
}

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

fn https(receiver: &Receiver, host: &str) -> String {
    format!("https://{host}:{}/hook", receiver.address.port())
}

#[tokio::test]
async fn a_valid_certificate_gets_the_request_with_the_original_host() {
    let ca = Authority::new();
    let client = ca.client();
    for versions in [&BOTH[..], &BOTH[..1], &BOTH[1..]] {
        for host in ["localhost", "127.0.0.1"] {
            let receiver = tls_receiver(server(ca.issue(host, |_| ()), versions, None)).await;
            for _ in 0..3 {
                let answer = client.post(request(https(&receiver, host)), &loopback()).await.unwrap();
                let text = String::from_utf8(answer.body_excerpt).unwrap();
                assert_eq!(answer.status, 200);
                assert!(text.contains(&format!("host: {host}:{}\r\n", receiver.address.port())), "{text}");
            }
            assert_eq!(receiver.connections(), 1);
        }
    }
}

#[tokio::test]
async fn invalid_certificates_are_refused() {
    let (ca, other) = (Authority::new(), Authority::new());
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&own_key).unwrap();
    let expired = ca.issue("localhost", |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let future = ca.issue("localhost", |params| params.not_before = date_time_ymd(2999, 1, 1));
    let cases = [
        ("expired", expired),
        ("not yet valid", future),
        ("self-signed", (own.der().clone(), private(&own_key))),
        ("wrong host", ca.issue("shop.example", |_| ())),
        ("address instead of name", ca.issue("127.0.0.1", |_| ())),
        ("unknown authority", other.issue("localhost", |_| ())),
    ];
    let client = ca.client();
    for (case, identity) in cases {
        let receiver = tls_receiver(server(identity, &BOTH, None)).await;
        let error = client.post(request(https(&receiver, "localhost")), &loopback()).await.unwrap_err();
        assert_eq!((error.class(), error), ("tls", SendError::Tls), "{case}");
        assert_eq!(receiver.connections(), 1, "{case}: no second try, in clear or otherwise");
    }
    let receiver = tls_receiver(server(ca.issue("localhost", |_| ()), &BOTH, None)).await;
    let error = Client::new().post(request(https(&receiver, "localhost")), &loopback()).await.unwrap_err();
    assert_eq!(error, SendError::Tls, "a private authority is not trusted unless given");
}

#[tokio::test]
async fn a_receiver_that_wants_a_client_certificate_is_a_tls_error() {
    let ca = Authority::new();
    for versions in [&BOTH[..1], &BOTH[1..]] {
        let receiver = tls_receiver(server(ca.issue("localhost", |_| ()), versions, Some(&ca))).await;
        let error = ca.client().post(request(https(&receiver, "localhost")), &loopback()).await.unwrap_err();
        assert_eq!(error, SendError::Tls);
    }
}

/// A ServerHello record of TLS 1.0 (RFC 2246): 32 bytes of random, no session, TLS_RSA_WITH_AES_128_CBC_SHA.
fn tls_1_0_server_hello() -> Vec<u8> {
    let mut record = vec![0x16, 0x03, 0x01, 0x00, 0x2a, 0x02, 0x00, 0x00, 0x26, 0x03, 0x01];
    record.extend_from_slice(&[7; 32]);
    record.extend_from_slice(&[0x00, 0x00, 0x2f, 0x00]);
    record
}

#[tokio::test]
async fn old_tls_and_plain_text_servers_get_nothing_in_clear() {
    let replies =
        [tls_1_0_server_hello(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), Vec::new()];
    for reply in replies {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (record, reply) = (Arc::clone(&seen), Arc::new(reply));
        let receiver = Receiver::start(move |mut stream| {
            let (record, reply) = (Arc::clone(&record), Arc::clone(&reply));
            async move {
                let mut buffer = [0; 4096];
                let n = stream.read(&mut buffer).await.unwrap();
                record.lock().unwrap().extend_from_slice(&buffer[..n]);
                let _ = stream.write_all(&reply).await;
                let _ = stream.shutdown().await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                record.lock().unwrap().extend_from_slice(&rest);
            }
        })
        .await;
        let error =
            Client::new().post(request(https(&receiver, "localhost")), &loopback()).await.unwrap_err();
        assert_eq!(error, SendError::Tls);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let seen = seen.lock().unwrap();
        assert_eq!(seen.first(), Some(&0x16), "a TLS handshake record");
        assert!(!seen.windows(7).any(|part| part == b"payload"));
        assert_eq!(receiver.connections(), 1);
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_at_the_timeout() {
    let receiver = Receiver::start(|stream| async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        drop(stream);
    })
    .await;
    let mut request = request(https(&receiver, "localhost"));
    request.timeout = Duration::from_millis(300);
    assert_eq!(Client::new().post(request, &loopback()).await.unwrap_err(), SendError::Timeout);
}

#[test]
fn unusable_root_files_are_refused() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(Client::with_extra_roots(text.as_bytes()), Err(RootsError::Pem(_))), "{text:?}");
    }
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(Client::with_extra_roots(not_der.as_bytes()), Err(RootsError::Certificate(_))));
}
