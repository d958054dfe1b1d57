//! Reading a request body within bounds.

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::time::Duration;

/// Largest body of an API request.
pub const BODY_MAX: usize = 64 * 1024;
/// How long a client may take to send it.
const BODY_TIME: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyRefusal {
    TooLarge,
    TooSlow,
    Broken,
}

/// Reads a whole body of at most [`BODY_MAX`] bytes. One that says that it is longer is not waited for.
pub async fn read(body: Body) -> Result<Bytes, BodyRefusal> {
    if body.size_hint().lower() > BODY_MAX as u64 {
        return Err(BodyRefusal::TooLarge);
    }
    match tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect()).await {
        Err(_) => Err(BodyRefusal::TooSlow),
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(e)) if e.downcast_ref::<LengthLimitError>().is_some() => Err(BodyRefusal::TooLarge),
        Ok(Err(_)) => Err(BodyRefusal::Broken),
    }
}
