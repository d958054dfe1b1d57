//! A request as the engine sees it: who asks, under which idempotency key, and how to answer.

use crate::error::Error;
use crate::view::Outcome;
use crate::views::Views;
use domain::id::{AdminKeyId, ApiKeyId, Core, UserId};
use domain::merchant::KeyKind;
use domain::scope::Scope;
use std::fmt;

/// By what a request proved who it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    ApiKey(ApiKeyId),
    AdminKey(AdminKeyId),
    User(UserId),
}

impl Actor {
    pub fn core(self) -> Core {
        match self {
            Actor::ApiKey(id) => id.0,
            Actor::AdminKey(id) => id.0,
            Actor::User(id) => id.0,
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::ApiKey(id) => id.fmt(f),
            Actor::AdminKey(id) => id.fmt(f),
            Actor::User(id) => id.fmt(f),
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    pub scope: Scope,
    pub actor: Actor,
    pub kind: KeyKind,
}

/// Who administers, and in which request: for the audit log.
#[derive(Clone, Debug)]
pub struct By {
    pub actor: Actor,
    /// Our id of the request, `req_…`.
    pub request: String,
}

/// In which request, and from where, somebody tries to sign in.
#[derive(Clone, Debug)]
pub struct Visit {
    /// Our id of the request, `req_…`.
    pub request: String,
    /// As the audit log names it.
    pub address: String,
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
