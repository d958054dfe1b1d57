//! Well-behaved and hostile receivers over plain HTTP.

mod common;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Receiver, answer_ok, loopback, post, read_request, request};
use outbound::{Client, HeaderRefusal, MAX_BODY_EXCERPT, Policy, SendError, UrlRefusal};
use tokio::io::AsyncWriteExt;

/// More than the socket buffers of both ends can hold, far less than what a flooding receiver offers.
const BOUNDED: usize = 16_000_000;

#[tokio::test]
async fn the_request_arrives_as_given() {
    let seen = Arc::new(Mutex::new(String::new()));
    let record = Arc::clone(&seen);
    let receiver = Receiver::start(move |mut stream| {
        let record = Arc::clone(&record);
        async move {
            let text = read_request(&mut stream).await;
            *record.lock().unwrap() = text;
            let reply = "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 4\r\n\r\nbusy";
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    })
    .await;
    let mut request = request(format!("http://{}/a%20b?x={{1}}", receiver.address));
    request.headers.push(("PG-Signature".to_owned(), "t=1,v1=ab".to_owned()));
    let answer = Client::new().post(request, &loopback()).await.unwrap();

    assert_eq!((answer.status, answer.body_excerpt.as_slice()), (503, b"busy".as_slice()));
    assert_eq!(answer.retry_after, Some(Duration::from_secs(120)));
    let text = seen.lock().unwrap().clone();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "{\"secret\":\"payload\"}");
    let mut lines: Vec<_> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /a%20b?x={1} HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", receiver.address);
    let agent = format!("user-agent: PaymentGate/{}", env!("CARGO_PKG_VERSION"));
    let expected = [
        "accept-encoding: identity",
        "accept: */*",
        "content-length: 20",
        "content-type: application/json",
        &host,
        "pg-signature: t=1,v1=ab",
        &agent,
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn connections_are_reused_until_the_receiver_asks_to_close() {
    let receiver = Receiver::start(|mut stream| async move {
        while !read_request(&mut stream).await.is_empty() {
            answer_ok(&mut stream, "ok").await;
        }
    })
    .await;
    let client = Client::new();
    for _ in 0..20 {
        assert_eq!(client.post(request(receiver.url()), &loopback()).await.unwrap().status, 200);
    }
    assert_eq!(receiver.connections(), 1);
    // The same address under another name is another destination.
    let by_name = format!("http://localhost:{}/hook", receiver.address.port());
    assert_eq!(client.post(request(by_name), &loopback()).await.unwrap().status, 200);
    assert_eq!(receiver.connections(), 2);

    let closing =
        Receiver::replying("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
    for _ in 0..3 {
        assert_eq!(client.post(request(closing.url()), &loopback()).await.unwrap().status, 200);
    }
    assert_eq!(closing.connections(), 3);
}

#[tokio::test]
async fn an_idle_connection_closed_by_the_receiver_is_replaced() {
    let receiver = Receiver::replying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let client = Client::new();
    for _ in 0..3 {
        assert_eq!(client.post(request(receiver.url()), &loopback()).await.unwrap().status, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn idle_connections_are_closed_without_further_traffic() {
    let (closed, mut wait) = tokio::sync::mpsc::channel(1);
    let receiver = Receiver::start(move |mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            answer_ok(&mut stream, "ok").await;
            assert_eq!(read_request(&mut stream).await, "");
            let _ = closed.send(()).await;
        }
    })
    .await;
    let client = Client::new();
    assert!(client.post(request(receiver.url()), &loopback()).await.is_ok());
    let ended = tokio::time::timeout(Duration::from_secs(10), wait.recv()).await;
    assert_eq!(ended, Ok(Some(())));
}

#[tokio::test]
async fn a_pooled_connection_does_not_outlive_the_permission() {
    let receiver = Receiver::start(|mut stream| async move {
        while !read_request(&mut stream).await.is_empty() {
            answer_ok(&mut stream, "ok").await;
        }
    })
    .await;
    let client = Client::new();
    assert!(client.post(request(receiver.url()), &loopback()).await.is_ok());
    let refused = client.post(request(receiver.url()), &Policy::strict()).await.unwrap_err();
    assert_eq!((refused.class(), refused), ("blocked_ip", SendError::Url(UrlRefusal::Address)));
}

#[tokio::test]
async fn bytes_after_a_response_never_become_the_next_answer() {
    let receiver = Receiver::start(|mut stream| async move {
        while !read_request(&mut stream).await.is_empty() {
            let two = "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
            let _ = stream.write_all(two.as_bytes()).await;
        }
    })
    .await;
    let client = Client::new();
    for _ in 0..5 {
        let answer = client.post(request(receiver.url()), &loopback()).await.unwrap();
        assert_eq!((answer.status, answer.body_excerpt.as_slice()), (500, b"no".as_slice()));
    }
    assert_eq!(receiver.connections(), 5);
}

#[tokio::test]
async fn redirects_are_reported_and_not_followed() {
    let internal = Receiver::replying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        for location in [internal.url(), "file:///etc/passwd".to_owned(), "/again".to_owned()] {
            let reply =
                format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            let receiver = Receiver::replying(reply).await;
            assert_eq!(post(receiver.url()).await.unwrap().status, status);
            assert_eq!(receiver.connections(), 1);
        }
    }
    assert_eq!(internal.connections(), 0);
}

#[tokio::test]
async fn endless_bodies_are_cut_and_the_connection_is_closed() {
    let heads: [(&[u8], &[u8]); 3] = [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ];
    for (head, piece) in heads {
        let (receiver, written) = Receiver::flooding(head, piece).await;
        let start = Instant::now();
        let answer = post(receiver.url()).await.unwrap();
        assert_eq!((answer.status, answer.body_excerpt.len()), (200, MAX_BODY_EXCERPT));
        assert!(answer.body_excerpt.iter().all(|byte| *byte == b'x'));
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        // The receiver's writes fail soon after, which they do not while the connection is open.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let after = written.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(written.load(Ordering::SeqCst), after);
        assert!(after < BOUNDED, "{after}");
    }
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_complete() {
    for (size, expected) in [(MAX_BODY_EXCERPT - 1, 1), (MAX_BODY_EXCERPT, 1), (MAX_BODY_EXCERPT + 1, 2)] {
        let receiver = Receiver::start(move |mut stream| async move {
            while !read_request(&mut stream).await.is_empty() {
                answer_ok(&mut stream, &"y".repeat(size)).await;
            }
        })
        .await;
        let client = Client::new();
        for _ in 0..2 {
            let answer = client.post(request(receiver.url()), &loopback()).await.unwrap();
            assert_eq!(answer.body_excerpt.len(), size.min(MAX_BODY_EXCERPT));
        }
        assert_eq!(receiver.connections(), expected, "{size} bytes");
    }
}

#[tokio::test]
async fn compressed_bodies_are_returned_as_sent() {
    let mut reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\n".to_vec();
    reply.extend_from_slice(&[0x1f, 0x8b, 0x08, 0x00, 0xff, 0x00]);
    let receiver = Receiver::replying(reply).await;
    assert_eq!(post(receiver.url()).await.unwrap().body_excerpt, [0x1f, 0x8b, 0x08, 0x00, 0xff, 0x00]);
}

/// Sends `head`, then one more byte every 20 ms.
async fn dripping(head: &'static [u8]) -> Receiver {
    Receiver::start(move |mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(head).await;
        for _ in 0..500 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if stream.write_all(b"z").await.is_err() {
                return;
            }
        }
    })
    .await
}

#[tokio::test]
async fn slow_answers_end_at_the_timeout() {
    let heads: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
    ];
    for head in heads {
        let receiver = if head.is_empty() {
            Receiver::start(|mut stream| async move {
                read_request(&mut stream).await;
                tokio::time::sleep(Duration::from_secs(20)).await;
            })
            .await
        } else {
            dripping(head).await
        };
        let start = Instant::now();
        let mut request = request(receiver.url());
        request.timeout = Duration::from_millis(400);
        let error = Client::new().post(request, &loopback()).await.unwrap_err();
        let elapsed = start.elapsed();
        assert_eq!((error.class(), error), ("timeout", SendError::Timeout));
        assert!((Duration::from_millis(400)..Duration::from_secs(2)).contains(&elapsed), "{elapsed:?}");
    }
}

#[tokio::test]
async fn floods_that_never_become_an_answer_are_bounded() {
    let floods: [(&[u8], &[u8]); 6] = [
        (b"HTTP/1.1 200 OK\r\nX-Bomb: ", b"b"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Bomb: b\r\n"),
        (b"HTTP/1.1 200 ", b"r"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"e"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Trailer: t\r\n"),
    ];
    for (head, piece) in floods {
        let (receiver, written) = Receiver::flooding(head, piece).await;
        let start = Instant::now();
        let error = post(receiver.url()).await.unwrap_err();
        let piece = String::from_utf8_lossy(piece);
        assert_eq!((error.class(), error), ("http", SendError::Http), "{piece:?}");
        assert!(start.elapsed() < Duration::from_secs(5), "{piece:?} took {:?}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(written.load(Ordering::SeqCst) < BOUNDED, "{piece:?}: {}", written.load(Ordering::SeqCst));
    }
}

#[tokio::test]
async fn response_heads_are_accepted_up_to_32_kib() {
    for (size, expected) in [(30_000, Ok(200)), (34_000, Err(SendError::Http))] {
        let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\nContent-Length: 0\r\n\r\n", "v".repeat(size));
        let receiver = Receiver::replying(head).await;
        assert_eq!(post(receiver.url()).await.map(|answer| answer.status), expected, "{size} bytes");
    }
}

#[tokio::test]
async fn a_few_interim_responses_are_skipped() {
    let receiver = Receiver::replying(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    assert_eq!(post(receiver.url()).await.unwrap().status, 200);
}

#[tokio::test]
async fn broken_answers_are_http_errors() {
    for reply in [
        "",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "-ERR unknown command 'POST'\r\n",
        "<html>no head</html>",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nab",
    ] {
        let receiver = Receiver::replying(reply).await;
        let result = post(receiver.url()).await;
        assert_eq!(result.map_err(|error| error.class()).map(|_| ()), Err("http"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_reset_in_the_body_is_an_http_error() {
    let receiver = Receiver::start(|mut stream| async move {
        // The request stays unread, so closing resets the connection.
        stream.readable().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc").await;
    })
    .await;
    assert_eq!(post(receiver.url()).await.unwrap_err(), SendError::Http);
}

#[tokio::test]
async fn a_closed_port_is_a_connect_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = post(format!("http://{address}/")).await.unwrap_err();
    assert_eq!((error.class(), error), ("connect", SendError::Connect));
}

#[tokio::test]
async fn refusals_happen_before_any_connection() {
    let receiver = Receiver::replying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let client = Client::new();
    for (name, value) in [
        ("Host", "internal"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    ] {
        let mut request = request(receiver.url());
        request.headers.push((name.to_owned(), value.to_owned()));
        let error = client.post(request, &loopback()).await.unwrap_err();
        assert_eq!(error, SendError::Header(HeaderRefusal::Reserved(name.to_ascii_lowercase())));
        assert_eq!(error.class(), "header");
    }
    let mut injected = request(receiver.url());
    injected.headers.push(("Authorization".to_owned(), "a\r\nHost: b".to_owned()));
    let error = client.post(injected, &loopback()).await.unwrap_err();
    assert_eq!(error, SendError::Header(HeaderRefusal::Value("authorization".to_owned())));

    let strict = client.post(request(receiver.url()), &Policy::strict()).await.unwrap_err();
    assert_eq!(strict.class(), "blocked_ip");
    let fragment = client.post(request(format!("{}#x", receiver.url())), &loopback()).await.unwrap_err();
    assert_eq!(fragment.class(), "url");
    assert_eq!(receiver.connections(), 0);
}
