//! Requests after the dispatcher is done with them. Each kind is what one kind of access leads to; only the
//! dispatcher makes them, after its checks.

use crate::callers::{self, Identity};
use crate::error::ApiError;
use axum::http::{HeaderMap, StatusCode};
use domain::id::{Core, TypedId};
use domain::scope::Scope;
use domain::session::SessionCaller;
use engine::{By, Call, Engine, IdempotentRequest, NumberedQuery, Reply, ReplySpec, Visit};
use serde_json::Value;
use std::net::IpAddr;
use web::App;
use web::params::Params;
use web::stream::Download;

/// What every request has.
pub(crate) struct Common {
    pub app: App,
    /// Route parameters in order.
    pub path: Vec<String>,
    pub params: Params,
    pub request_id: String,
    /// Where the request came from.
    pub ip: IpAddr,
    pub headers: HeaderMap,
    pub idempotency: Option<IdempotentRequest>,
}

impl Common {
    pub fn engine(&self) -> &Engine {
        &self.app.engine
    }

    /// The `n`th id in the path; 404 if it cannot be one.
    pub fn id<T: TypedId>(&self, n: usize, kind: &str) -> Result<T, ApiError> {
        let text = self.path.get(n).map_or("", String::as_str);
        Core::parse_hex(text).map(T::from_core).ok_or_else(|| ApiError::not_found(kind, text))
    }

    /// `page` and `limit`.
    pub fn page(&self) -> Result<PageOf, ApiError> {
        PageOf::read(&self.params)
    }
}

macro_rules! request_kind {
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty),* }) => {
        $(#[$meta])*
        pub(crate) struct $name {
            pub common: Common,
            $($(#[$fmeta])* pub $field: $type,)*
        }

        impl std::ops::Deref for $name {
            type Target = Common;
            fn deref(&self) -> &Common {
                &self.common
            }
        }
    };
}

request_kind! {
    /// From anybody.
    Anonymous {}
}
request_kind! {
    /// From somebody who is about to sign in, or is signed in already.
    Visiting { person: Option<SessionCaller>, address: String }
}
request_kind! {
    /// From somebody who is signed in, about themselves.
    Personal { person: SessionCaller }
}
request_kind! {
    /// From a caller who may do this within the scope.
    Scoped { identity: Identity, scope: Scope }
}
request_kind! {
    /// The same, on a route that names the organisation first.
    Organized { identity: Identity, scope: Scope }
}
request_kind! {
    /// From an administrator of the whole instance.
    Global { identity: Identity }
}

impl Visiting {
    pub fn visit(&self) -> Visit {
        Visit { request: self.request_id.clone(), address: self.address.clone() }
    }
}

impl Scoped {
    pub fn by(&self) -> By {
        callers::by(&self.identity, &self.request_id)
    }

    /// Refuses a person whose login is too old for dangerous acts. A key has none.
    pub fn require_fresh_login(&self) -> Result<(), ApiError> {
        self.identity.person().map_or(Ok(()), |person| Ok(self.engine().require_fresh_login(person)?))
    }

    /// The engine's call for this request. `kind`: which reply answers it.
    pub fn call(&self, kind: &str) -> Call {
        Call {
            caller: callers::caller(&self.identity, self.scope),
            request: self.request_id.clone(),
            idempotency: self.idempotency.clone(),
            reply: ReplySpec {
                surface: crate::SURFACE,
                kind: kind.to_owned(),
                expand: Vec::new(),
                request: self.request_id.clone(),
            },
        }
    }
}

impl Organized {
    pub fn by(&self) -> By {
        callers::by(&self.identity, &self.request_id)
    }
}

impl Global {
    pub fn by(&self) -> By {
        callers::by(&self.identity, &self.request_id)
    }
}

/// What a handler answers.
pub(crate) enum Answer {
    Json(StatusCode, Value),
    Reply(Reply),
    /// With cookies to set.
    Cookies(StatusCode, Value, Vec<String>),
    Download(Download),
}

impl Answer {
    pub fn ok(value: Value) -> Result<Answer, ApiError> {
        Ok(Answer::Json(StatusCode::OK, value))
    }

    pub fn created(value: Value) -> Result<Answer, ApiError> {
        Ok(Answer::Json(StatusCode::CREATED, value))
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Answer::Reply(reply)
    }
}

/// Rows of a page when none is asked for, and at most.
const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 100;
/// Rows before the last page that can be asked for: whoever needs more narrows the list, or exports it.
const OFFSET_MAX: i64 = 100_000;

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageOf {
    pub page: i64,
    pub limit: i64,
}

impl PageOf {
    fn read(params: &Params) -> Result<PageOf, ApiError> {
        let mut reader = params.reader();
        let limit = reader.integer("limit", 1, i64::MAX)?.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
        let page = reader.integer("page", 1, i64::MAX)?.unwrap_or(1);
        if (page - 1).saturating_mul(limit) > OFFSET_MAX {
            let message = format!(
                "page is {page}; a list can be read up to {OFFSET_MAX} rows deep. Narrow it by its filters."
            );
            return Err(ApiError::invalid("page_too_deep", message).field("page"));
        }
        Ok(PageOf { page, limit })
    }

    pub fn query(self) -> NumberedQuery {
        NumberedQuery { limit: self.limit, offset: (self.page - 1) * self.limit }
    }

    /// The part of a short list that is on this page.
    pub fn cut<T>(self, all: Vec<T>) -> (Vec<T>, usize) {
        let total = all.len();
        let skip = usize::try_from((self.page - 1) * self.limit).unwrap_or(usize::MAX);
        let take = usize::try_from(self.limit).unwrap_or(usize::MAX);
        (all.into_iter().skip(skip).take(take).collect(), total)
    }

    /// A page as this surface shows it.
    pub fn show(self, name: &str, rows: Vec<Value>, total: i64) -> Value {
        let mut body = serde_json::Map::new();
        body.insert(name.to_owned(), Value::Array(rows));
        body.insert("total".to_owned(), total.into());
        body.insert("page".to_owned(), self.page.into());
        body.insert("limit".to_owned(), self.limit.into());
        Value::Object(body)
    }
}
