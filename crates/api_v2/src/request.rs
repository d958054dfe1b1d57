//! A request after the dispatcher is done with it: authenticated, within limits, parsed.

use crate::error::ApiError;
use crate::expand::{self, Object, Where};
use crate::reply::ReplyKind;
use domain::id::TypedId;
use domain::limits::{PAGE_DEFAULT, PAGE_MAX};
use domain::merchant::KeyKind;
use domain::scope::Scope;
use domain::time::{MICROS, Timestamp};
use engine::{Call, Caller, Cursor, Engine, IdempotentRequest, Page, PageQuery, Reply, ReplySpec, Views};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use web::params::{Params, Reader, codes, echo};
use web::stream::Download;
use web::{App, Urls};

/// Under which address the surface was called. Lists name addresses that the caller can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    V2,
    /// For unchanged Stripe clients, which call `/v1/…` below their base address.
    Stripe,
}

pub struct Request {
    pub app: App,
    pub caller: Caller,
    pub mount: Mount,
    /// Route parameters in order.
    pub path: Vec<String>,
    pub params: Params,
    pub request_id: String,
    /// Where the request came from.
    pub ip: IpAddr,
    pub idempotency: Option<IdempotentRequest>,
    /// The path below the mount, for lists.
    pub route_path: String,
}

/// What a handler answers.
pub enum Answer {
    Reply(Reply),
    Json(Value),
    Download(Download),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Answer::Reply(reply)
    }
}

impl Request {
    pub fn engine(&self) -> &Engine {
        &self.app.engine
    }

    pub fn scope(&self) -> Scope {
        self.caller.scope
    }

    pub fn urls(&self) -> Arc<Urls> {
        self.app.urls.clone()
    }

    pub fn is_publishable(&self) -> bool {
        self.caller.kind == KeyKind::Publishable
    }

    /// The `n`th id in the path; 404 if it cannot be one.
    pub fn id<T: TypedId>(&self, n: usize, kind: &str) -> Result<T, ApiError> {
        let text = self.path.get(n).map_or("", String::as_str);
        T::parse(text).ok_or_else(|| ApiError::not_found(kind, text))
    }

    /// The engine's call for this request.
    pub fn call(&self, kind: ReplyKind, expand: Vec<String>) -> Call {
        Call {
            caller: self.caller,
            request: self.request_id.clone(),
            idempotency: self.idempotency.clone(),
            reply: ReplySpec {
                surface: crate::SURFACE,
                kind: kind.text(),
                expand,
                request: self.request_id.clone(),
            },
        }
    }

    /// Parameters that Stripe's clients may send and that have no effect here. On our own mount they
    /// are unknown, and so refused.
    pub fn tolerate(&self, reader: &mut Reader<'_>, names: &[&str]) {
        if self.mount == Mount::Stripe {
            for name in names {
                reader.ignore(name);
            }
        }
    }

    /// Answers with a page of objects; `list` reads it and `show` renders one.
    pub async fn list<V: Send + 'static>(
        &self,
        object: Object,
        expand: Vec<String>,
        list: impl Fn(&mut Views<'_, '_>) -> Result<Page<V>, engine::Error> + Send + 'static,
        show: impl Fn(&Urls, &V) -> Value + Send + 'static,
    ) -> Result<Answer, ApiError> {
        let urls = self.urls();
        let paths: Vec<String> =
            expand.iter().filter_map(|p| p.strip_prefix("data.").map(str::to_owned)).collect();
        let (data, has_more) = self
            .engine()
            .view(self.scope(), move |views| {
                let page = list(views)?;
                let mut data = Vec::with_capacity(page.data.len());
                for item in &page.data {
                    let mut value = show(&urls, item);
                    expand::apply(views, &urls, object, &mut value, &paths)?;
                    data.push(value);
                }
                Ok((data, page.has_more))
            })
            .await?;
        let prefix = match self.mount {
            Mount::V2 => "/v2",
            Mount::Stripe => "/v1",
        };
        Ok(Answer::Json(json!({
            "object": "list",
            "url": format!("{prefix}{}", self.route_path),
            "has_more": has_more,
            "data": data,
        })))
    }

    /// Answers with one object.
    pub async fn show<V: Send + 'static>(
        &self,
        object: Object,
        expand: Vec<String>,
        find: impl Fn(&mut Views<'_, '_>) -> Result<Option<V>, engine::Error> + Send + 'static,
        render: impl Fn(&Urls, &V) -> Value + Send + 'static,
        kind: &'static str,
    ) -> Result<Answer, ApiError> {
        let urls = self.urls();
        let id = self.path.last().cloned().unwrap_or_default();
        let value = self
            .engine()
            .view(self.scope(), move |views| {
                let Some(found) = find(views)? else { return Ok(None) };
                let mut value = render(&urls, &found);
                expand::apply(views, &urls, object, &mut value, &expand)?;
                Ok(Some(value))
            })
            .await?;
        value.map(Answer::Json).ok_or_else(|| ApiError::not_found(kind, &id))
    }
}

/// `expand[]`, checked.
pub fn expand_paths(reader: &mut Reader<'_>, object: Object, place: Where) -> Result<Vec<String>, ApiError> {
    let paths = reader.texts("expand", 100, 200)?.unwrap_or_default();
    expand::check(object, &paths, place)?;
    Ok(paths)
}

/// `limit`, the cursors and `created`. `T` is the type of the listed objects' ids.
pub fn page_query<T: TypedId>(reader: &mut Reader<'_>) -> Result<PageQuery, ApiError> {
    let limit = reader.integer("limit", 1, PAGE_MAX)?.unwrap_or(PAGE_DEFAULT);
    let after = cursor::<T>(reader, "starting_after")?;
    let before = cursor::<T>(reader, "ending_before")?;
    let cursor = match (after, before) {
        (Some(_), Some(_)) => {
            let message = "starting_after and ending_before cannot be used together. Pass one of them.";
            return Err(ApiError::invalid("parameters_exclusive", message).param("ending_before"));
        }
        (Some(id), None) => Cursor::After(id.core()),
        (None, Some(id)) => Cursor::Before(id.core()),
        (None, None) => Cursor::Newest,
    };
    let (created_from, created_to) = created(reader)?;
    Ok(PageQuery { limit, cursor, created_from, created_to })
}

/// `created`: inclusive bounds, of the whole seconds that were named.
pub fn created(reader: &mut Reader<'_>) -> Result<(Option<Timestamp>, Option<Timestamp>), ApiError> {
    let range = reader.range("created")?;
    let from = range.and_then(|r| r.min).map(Timestamp::from_secs);
    Ok((from, range.and_then(|r| r.max).map(|s| Timestamp::from_secs(s).plus(MICROS - 1))))
}

fn cursor<T: TypedId>(reader: &mut Reader<'_>, name: &str) -> Result<Option<T>, ApiError> {
    let Some(text) = reader.raw_text(name, 256)? else { return Ok(None) };
    reference(name, text).map(Some)
}

/// An id that a parameter names; 400 if it cannot be one.
pub fn reference<T: TypedId>(param: &str, text: &str) -> Result<T, ApiError> {
    T::parse(text).ok_or_else(|| {
        let shown = echo(text);
        let message = format!(
            "No such object: '{shown}'. {param} must be an id: {}_ and 17 letters and digits.",
            T::PREFIX
        );
        ApiError::invalid("resource_missing", message).param(param)
    })
}

/// An optional id parameter; empty counts as absent.
pub fn optional_reference<T: TypedId>(reader: &mut Reader<'_>, name: &str) -> Result<Option<T>, ApiError> {
    let param = reader.name_of(name);
    match reader.raw_text(name, 256)? {
        None | Some("") => Ok(None),
        Some(text) => reference(&param, text).map(Some),
    }
}

/// An amount of money: 1 to 999,999,999,999 minor units.
pub fn amount(reader: &mut Reader<'_>, name: &str) -> Result<Option<i64>, ApiError> {
    let param = reader.name_of(name);
    let Some(amount) = reader.integer(name, i64::MIN, i64::MAX)? else { return Ok(None) };
    if amount < 1 {
        let message = format!("{param} is {amount}; it must be at least 1, in the currency's smallest unit.");
        return Err(ApiError::invalid("amount_too_small", message).param(&param));
    }
    if amount > domain::money::MAX_AMOUNT {
        let message = format!(
            "{param} is {}; it must be at most {}.",
            echo(&amount.to_string()),
            domain::money::MAX_AMOUNT
        );
        return Err(ApiError::invalid("amount_too_large", message).param(&param));
    }
    Ok(Some(amount))
}

/// A missing parameter.
pub fn required<T>(value: Option<T>, reader: &Reader<'_>, name: &str) -> Result<T, ApiError> {
    value.ok_or_else(|| {
        let mut e = reader.missing(name);
        e.code = codes::MISSING;
        e.into()
    })
}
