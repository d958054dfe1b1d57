//! A request as the engine sees it: who asks, under which idempotency key, and how to answer.

use crate::error::Error;
use crate::view::Outcome;
use crate::views::Views;
use domain::id::ApiKeyId;
use domain::merchant::KeyKind;
use domain::scope::Scope;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub scope: Scope,
    pub key: ApiKeyId,
    pub kind: KeyKind,
}

/// A request that must have one effect.
#[derive(Clone, Debug)]
pub struct IdempotentRequest {
    pub key: String,
    pub fingerprint: [u8; 32],
}

/// Which reply to render when the work ends. Stored with the idempotency key, so that whoever ends
/// the work (the request, or a job after a crash) renders the same bytes.
#[derive(Clone, Debug)]
pub struct ReplySpec {
    pub surface: &'static str,
    pub kind: String,
    pub expand: Vec<String>,
    /// The request that the reply answers, `req_…`.
    pub request: String,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    pub caller: Caller,
    /// Our id of the request, `req_…`.
    pub request: String,
    pub idempotency: Option<IdempotentRequest>,
    pub reply: ReplySpec,
}

/// A rendered answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub body: String,
    /// The stored answer to an earlier request with the same key.
    pub replayed: bool,
}

/// Renders the reply of a surface. Runs inside the transaction that ends the work.
pub type RenderReply = dyn Fn(&mut Views<'_, '_>, &ReplySpec, &Outcome) -> Result<Reply, Error> + Send + Sync;
