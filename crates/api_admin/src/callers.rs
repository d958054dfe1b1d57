//! Who asks: a key of an organisation, a key of the instance, or nobody yet.

use crate::error::ApiError;
use crate::routes::Access;
use axum::http::{HeaderMap, StatusCode};
use domain::access::{Action, Grant, Resource, allowed};
use domain::admin_key::AdminKey;
use domain::id::{Core, MerchantId, TypedId};
use domain::merchant::KeyKind;
use domain::scope::{Mode, Scope};
use engine::{Actor, By, Caller};
use std::net::IpAddr;
use web::App;

/// The header by which a system key or a person says for which organisation a request is.
const ORGANIZATION: &str = "x-organization-id";

/// A caller whose credential is good.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    Key(Box<AdminKey>),
}

impl Identity {
    pub fn actor(&self) -> Actor {
        match self {
            Identity::Key(key) => Actor::AdminKey(key.id),
        }
    }

    /// Under which a caller's requests are counted.
    pub fn bucket(&self) -> [u8; 16] {
        let mut bucket = [0xfe; 16];
        bucket[..12].copy_from_slice(&self.actor().core().0);
        bucket
    }

    pub fn mode(&self) -> Mode {
        match self {
            Identity::Key(key) => key.mode,
        }
    }

    /// The organisation that the credential is bound to.
    fn own_organization(&self) -> Option<MerchantId> {
        match self {
            Identity::Key(key) => key.merchant,
        }
    }

    /// What the caller could give to a key that it makes; `None` is everything.
    pub fn ceiling(&self) -> Option<&[Grant]> {
        match self {
            Identity::Key(key) if key.merchant.is_some() => Some(&key.grants),
            Identity::Key(_) => None,
        }
    }

    fn may(&self, resource: Resource, action: Action) -> bool {
        match self {
            Identity::Key(key) => allowed(&key.grants, resource, action),
        }
    }
}

/// One answer for every way of not having a valid credential, so that it tells nothing about keys.
pub(crate) fn unauthenticated() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "No valid key. Send it as 'Authorization: Bearer sk_test_<keyId>.<secret>' (sk_live_… in live mode).",
    )
}

/// Finds out who asks by the request's credential. `address`: where from, if that is known for sure.
pub(crate) async fn identify(
    app: &App,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Identity, ApiError> {
    let text = web::credentials::bearer(headers).map_err(|_| unauthenticated())?;
    let key = app.engine.authenticate_admin_key(&text).await?.ok_or_else(unauthenticated)?;
    if !key.may_come_from(address) {
        let message = "This key may not be used from this address. Change its ipWhitelist, or send the request from a \
                       listed address.";
        return Err(ApiError::forbidden("address_not_allowed", message));
    }
    Ok(Identity::Key(Box::new(key)))
}

/// Which organisation a request is for: the key's own, or the one that a caller of all organisations names.
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
        (None, Some(named)) => Ok(named),
        (None, None) => Err(ApiError::forbidden(
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
        Access::Public => return Ok(Permit { scope: None }),
        Access::Scope(r, a) | Access::Organization(r, a) | Access::Global(r, a) => (r, a),
    };
    let global = matches!(access, Access::Global(..));
    if global && identity.own_organization().is_some() {
        let message = "This is for system keys and global administrators only.";
        return Err(ApiError::forbidden("not_permitted", message));
    }
    // Whose the request is comes first: a foreign organisation does not exist, whatever the scopes are.
    let scope = if global {
        None
    } else {
        let named = match org_in_path {
            Some(id) => Some(id),
            None => headers.get(ORGANIZATION).and_then(|value| value.to_str().ok()),
        };
        Some(Scope { merchant: organization(identity, named)?, mode: identity.mode() })
    };
    if !identity.may(resource, action) {
        let message = format!("This needs the scope {resource}:{action}, which the key does not have.");
        return Err(ApiError::forbidden("insufficient_scope", message));
    }
    Ok(Permit { scope })
}

/// The caller as the engine knows it.
pub(crate) fn caller(identity: &Identity, scope: Scope) -> Caller {
    Caller { scope, actor: identity.actor(), kind: KeyKind::Secret }
}

pub(crate) fn by(identity: &Identity, request: &str) -> By {
    By { actor: identity.actor(), request: request.to_owned() }
}
