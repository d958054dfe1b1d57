//! What came back, cut to size.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Bytes of a response body that are read at most.
pub const MAX_BODY_EXCERPT: usize = 16 * 1024;

/// The longest wait a receiver may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A complete HTTP response, or one cut after [`MAX_BODY_EXCERPT`] bytes of body. Any status counts as an
/// answer; whether it means success is the caller's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status, 200 to 999. Redirects are reported here, never followed.
    pub status: u16,
    /// The first bytes of the body as sent, at most [`MAX_BODY_EXCERPT`]. Never decompressed, never
    /// checked: escape it before showing it to anyone.
    pub body_excerpt: Vec<u8>,
    /// `Retry-After` as a wait from now, at most [`MAX_RETRY_AFTER`]; zero for a date in the past.
    /// `None` if absent or not understood.
    pub retry_after: Option<Duration>,
    /// From the call to the end of the answer, name resolution included.
    pub elapsed: Duration,
}

/// `Retry-After` per RFC 9110 section 10.2.3: whole seconds or an HTTP date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // Digits that overflow still mean "very long".
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Reads up to [`MAX_BODY_EXCERPT`] bytes. The flag tells whether the body ended, which is the condition
/// for using the connection again.
pub(crate) async fn read_excerpt(mut body: Incoming) -> Result<(Vec<u8>, bool), hyper::Error> {
    let mut excerpt = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = MAX_BODY_EXCERPT - excerpt.len();
        excerpt.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room || (data.len() == room && !body.is_end_stream()) {
            return Ok((excerpt, false));
        }
    }
    Ok((excerpt, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, text.parse().unwrap());
        // 1994-11-06 08:49:07 UTC, thirty seconds before the date RFC 9110 uses in its examples.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_747);
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_forms() {
        assert_eq!(parsed("0"), Some(0));
        assert_eq!(parsed("120"), Some(120));
        assert_eq!(parsed(" 120 "), Some(120));
        assert_eq!(parsed("86401"), Some(86_400));
        assert_eq!(parsed("1000000000000"), Some(86_400));
        assert_eq!(parsed("99999999999999999999999999"), Some(86_400));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:49:37 GMT"), Some(30));
        assert_eq!(parsed("Sunday, 06-Nov-94 08:49:37 GMT"), Some(30));
        assert_eq!(parsed("Sun Nov  6 08:49:37 1994"), Some(30));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:48:37 GMT"), Some(0));
        assert_eq!(parsed("Fri, 31 Dec 9999 23:59:59 GMT"), Some(86_400));
        for garbage in
            ["", "-1", "+5", "1e12", "1.5", "soon", "5, 6", "0x10", "Sun, 99 Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(parsed(garbage), None, "{garbage:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::now()), None);
    }
}
