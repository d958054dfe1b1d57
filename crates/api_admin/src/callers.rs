//! Who asks: a key of an organisation, a key of the instance, a person, or nobody yet.

use crate::cookies;
use crate::error::ApiError;
use axum::http::{HeaderMap, StatusCode};
use domain::access::{Action, Grant, Resource, allowed};
use domain::admin_key::AdminKey;
use domain::id::{Core, MerchantId, TypedId};
use domain::merchant::KeyKind;
use domain::scope::{Mode, Scope};
use domain::session::SessionCaller;
use engine::{Actor, By, Caller};
use std::net::IpAddr;
use web::App;

/// The header by which a system key or a person says for which organisation a request is.
const ORGANIZATION: &str = "x-organization-id";

/// Who may call a route. A handler takes what the dispatcher makes after the check, and nobody else can make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody, and people who are signed in as such.
    Visitor,
    /// Whoever has the refresh cookie, from our own pages. An access token counts for nothing: it may have ended.
    Cookie,
    /// People who are signed in, about themselves.
    Person,
    /// Within one organisation and mode: a key with this scope, or a person whose role has it.
    Scope(Resource, Action),
    /// The same where the organisation stands in the address.
    Organization(Resource, Action),
    /// Administrators of the whole instance: system keys with this scope, and global administrators.
    Global(Resource, Action),
    /// The same, and people, who get the part that is theirs.
    Shared(Resource, Action),
}

/// A caller whose credential is good.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    Key(Box<AdminKey>),
    Person(Box<SessionCaller>),
}

impl Identity {
    pub fn actor(&self) -> Actor {
        match self {
            Identity::Key(key) => Actor::AdminKey(key.id),
            Identity::Person(person) => Actor::User(person.user),
        }
    }

    /// Under which a caller's requests are counted: a key, or a session.
    pub fn bucket(&self) -> [u8; 16] {
        let mut bucket = [0xfe; 16];
        let core = match self {
            Identity::Key(key) => key.id.0,
            Identity::Person(person) => person.session.0,
        };
        bucket[..12].copy_from_slice(&core.0);
        bucket
    }

    pub fn mode(&self) -> Mode {
        match self {
            Identity::Key(key) => key.mode,
            Identity::Person(person) => person.mode,
        }
    }

    /// The person, if it is one.
    pub fn person(&self) -> Option<&SessionCaller> {
        match self {
            Identity::Key(_) => None,
            Identity::Person(person) => Some(person),
        }
    }

    /// The organisation that the credential is bound to.
    fn own_organization(&self) -> Option<MerchantId> {
        match self {
            Identity::Key(key) => key.merchant,
            Identity::Person(_) => None,
        }
    }

    /// Whether it administers the whole instance.
    pub fn is_global(&self) -> bool {
        match self {
            Identity::Key(key) => key.merchant.is_none(),
            Identity::Person(person) => person.global_admin,
        }
    }

    pub fn is_system_key(&self) -> bool {
        matches!(self, Identity::Key(key) if key.merchant.is_none())
    }

    /// What the caller could give to a key that it makes; `None` is everything.
    pub fn ceiling(&self) -> Option<&[Grant]> {
        match self {
            Identity::Key(key) if key.merchant.is_some() => Some(&key.grants),
            // Only administrators deal with keys at all.
            Identity::Key(_) | Identity::Person(_) => None,
        }
    }

    /// Whether it may do this, in this organisation or, if `None`, in the whole instance.
    fn may(&self, resource: Resource, action: Action, within: Option<MerchantId>) -> bool {
        match (self, within) {
            (Identity::Key(key), _) => allowed(&key.grants, resource, action),
            (Identity::Person(person), None) => person.global_admin,
            (Identity::Person(person), Some(merchant)) => {
                person.role(merchant).is_some_and(|role| role.allows(resource, action))
            }
        }
    }
}

/// One answer for every way of not having a valid credential, so that it tells nothing about keys.
pub(crate) fn unauthenticated() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "No valid key or session. Send 'Authorization: Bearer' with a key (sk_test_<keyId>.<secret>, sk_live_… in live \
         mode) or with the token of a login.",
    )
}

/// Finds out who asks by the request's credential. `address`: where from, if that is known for sure.
pub(crate) async fn identify(
    app: &App,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Identity, ApiError> {
    let text = web::credentials::bearer(headers).map_err(|_| unauthenticated())?;
    if !text.starts_with("sk_") {
        let person = app.engine.session_caller(&text).await?.ok_or_else(unauthenticated)?;
        return Ok(Identity::Person(Box::new(person)));
    }
    let key = app.engine.authenticate_admin_key(&text).await?.ok_or_else(unauthenticated)?;
    if !key.may_come_from(address) {
        let message = "This key may not be used from this address. Change its ipWhitelist, or send the request from a \
                       listed address.";
        return Err(ApiError::forbidden("address_not_allowed", message));
    }
    Ok(Identity::Key(Box::new(key)))
}

/// Which organisation a request is for: the key's own, a person's only one, or the one that is named.
fn organization(identity: &Identity, named: Option<&str>) -> Result<MerchantId, ApiError> {
    let named = match named {
        None => None,
        Some(text) => {
            let core = Core::parse_hex(text).ok_or_else(|| ApiError::not_found("organization", text))?;
            Some(MerchantId::from_core(core))
        }
    };
    match (identity.own_organization(), named) {
        (Some(own), None) => Ok(own),
        (Some(own), Some(named)) if own == named => Ok(own),
        (Some(_), Some(named)) => Err(ApiError::not_found("organization", &named.0.hex())),
        (None, Some(named)) => match identity.person() {
            // What a person has no part in does not exist for them.
            Some(person) if person.role(named).is_none() => {
                Err(ApiError::not_found("organization", &named.0.hex()))
            }
            _ => Ok(named),
        },
        (None, None) => only_one(identity),
    }
}

/// The organisation of a person who has one, since they need not name it.
fn only_one(identity: &Identity) -> Result<MerchantId, ApiError> {
    match identity.person() {
        Some(SessionCaller { memberships, global_admin: false, .. }) if memberships.len() == 1 => {
            Ok(memberships[0].0)
        }
        Some(_) => Err(ApiError::forbidden(
            "organization_not_named",
            "Say for which organisation this is: name it in the header X-Organization-ID, or choose one with POST \
             /api/v1/organizations/{orgId}/select.",
        )),
        None => Err(ApiError::forbidden(
            "organization_not_named",
            "A system key acts for no organisation by itself. Name one in the header X-Organization-ID.",
        )),
    }
}

/// What a caller may do on a route, checked.
pub(crate) struct Permit {
    /// `None` on routes of the whole instance.
    pub scope: Option<Scope>,
}

/// Checks that the caller may use the route. `org_in_path`: the organisation that the address names.
pub(crate) fn permit(
    identity: &Identity,
    access: Access,
    headers: &HeaderMap,
    org_in_path: Option<&str>,
) -> Result<Permit, ApiError> {
    let (resource, action) = match access {
        Access::Public | Access::Visitor | Access::Cookie => return Ok(Permit { scope: None }),
        Access::Person if identity.person().is_some() => return Ok(Permit { scope: None }),
        Access::Person => {
            let message = "This is for people who are signed in. A key has neither a profile nor a session.";
            return Err(ApiError::forbidden("not_permitted", message));
        }
        Access::Shared(..) if identity.person().is_some() => return Ok(Permit { scope: None }),
        Access::Scope(r, a) | Access::Organization(r, a) | Access::Global(r, a) | Access::Shared(r, a) => {
            (r, a)
        }
    };
    let global = matches!(access, Access::Global(..) | Access::Shared(..));
    if global && !identity.is_global() {
        let message = "This is for system keys and global administrators only.";
        return Err(ApiError::forbidden("not_permitted", message));
    }
    // Whose the request is comes first: a foreign organisation does not exist, whatever the scopes are.
    let scope = if global {
        None
    } else {
        let named = match (org_in_path, headers.get(ORGANIZATION)) {
            (Some(id), _) => Some(id.to_owned()),
            (None, Some(value)) => Some(value.to_str().unwrap_or_default().to_owned()),
            // One that was chosen before the person left it says nothing any more.
            (None, None) => identity.person().and_then(|person| {
                let chosen = cookies::selected(headers)?;
                let known = Core::parse_hex(&chosen).map(MerchantId::from_core)?;
                person.role(known).map(|_| chosen)
            }),
        };
        Some(Scope { merchant: organization(identity, named.as_deref())?, mode: identity.mode() })
    };
    if !identity.may(resource, action, scope.map(|scope| scope.merchant)) {
        return Err(lacking(identity, resource, action));
    }
    Ok(Permit { scope })
}

fn lacking(identity: &Identity, resource: Resource, action: Action) -> ApiError {
    let message = match identity {
        Identity::Key(_) => format!("This needs the scope {resource}:{action}, which the key does not have."),
        Identity::Person(_) => format!("This needs {resource}:{action}, which your role does not have."),
    };
    ApiError::forbidden("insufficient_scope", message)
}

/// The caller as the engine knows it.
pub(crate) fn caller(identity: &Identity, scope: Scope) -> Caller {
    Caller { scope, actor: identity.actor(), kind: KeyKind::Secret }
}

pub(crate) fn by(identity: &Identity, request: &str) -> By {
    By { actor: identity.actor(), request: request.to_owned() }
}
