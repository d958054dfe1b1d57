//! What the callers of the Admin API may do: scopes of keys, roles of people.

use crate::text_enum;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

text_enum! {
    /// What a scope is about. `System` is the instance itself, and no merchant's.
    pub enum Resource {
        Checkout = "checkout",
        Transaction = "transaction",
        Client = "client",
        Site = "site",
        Provider = "provider",
        ApiKey = "api_key",
        Organization = "organization",
        User = "user",
        Audit = "audit",
        DataIo = "data_io",
        UserProfile = "userprofile",
        System = "system",
    }
}

text_enum! {
    pub enum Action { Create = "create", Read = "read", Update = "update", Delete = "delete", Execute = "execute" }
}

text_enum! {
    /// What a person is in one organisation; global administrators are everything in all of them.
    pub enum Role {
        /// Reads what the organisation has.
        Viewer = "viewer",
        /// Deals with payers: checkouts, refunds, clients.
        Support = "support",
        /// Everything within the organisation.
        Admin = "admin",
    }
}

impl Role {
    /// Whether people of this role may do this.
    pub const fn allows(self, resource: Resource, action: Action) -> bool {
        use Action as A;
        use Resource as R;
        match (self, resource, action) {
            (_, R::System, _) => false,
            (_, R::UserProfile, _) | (Role::Admin, ..) => true,
            (_, R::ApiKey | R::Audit | R::User, _) => false,
            (_, _, A::Read) => true,
            (Role::Support, R::Checkout, A::Create | A::Update)
            | (Role::Support, R::Transaction, A::Update | A::Execute)
            | (Role::Support, R::Client, A::Create | A::Update | A::Execute)
            | (Role::Support, R::DataIo, A::Execute) => true,
            _ => false,
        }
    }
}

/// One scope: a resource and what may be done with it; `None` is everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    pub resource: Resource,
    pub action: Option<Action>,
}

impl Grant {
    /// Reads `resource:action` or `resource:*`; `None` for any other text. `checkout:write` is what one shop
    /// plugin's manual asks for.
    pub fn parse(text: &str) -> Option<Grant> {
        let (resource, action) = text.split_once(':')?;
        let resource = Resource::parse(resource)?;
        let action = match action {
            "*" => None,
            "write" if resource == Resource::Checkout => Some(Action::Create),
            other => Some(Action::parse(other)?),
        };
        Some(Grant { resource, action })
    }

    /// Whether this scope allows it.
    pub fn allows(self, resource: Resource, action: Action) -> bool {
        self.resource == resource && self.action.is_none_or(|own| own == action)
    }

    /// Whether this scope holds all of the other.
    pub fn covers(self, other: Grant) -> bool {
        self.resource == other.resource && (self.action.is_none() || self.action == other.action)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.action.map_or("*", Action::as_str))
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Grant::parse(&text).ok_or_else(|| serde::de::Error::custom("malformed scope"))
    }
}

/// Whether any of the scopes allows it.
pub fn allowed(grants: &[Grant], resource: Resource, action: Action) -> bool {
    grants.iter().any(|grant| grant.allows(resource, action))
}

/// Every scope that an organisation's key may have, in the order of the catalogue.
pub fn catalogue() -> Vec<Grant> {
    let of_organisations =
        Resource::ALL.iter().filter(|r| !matches!(r, Resource::System | Resource::UserProfile));
    of_organisations
        .flat_map(|r| Action::ALL.iter().map(|a| Grant { resource: *r, action: Some(*a) }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_strictly() {
        for text in ["checkout:create", "transaction:*", "api_key:execute", "system:read"] {
            assert_eq!(Grant::parse(text).map(|g| g.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Grant::parse("checkout:write"), Grant::parse("checkout:create"));
        for text in [
            "",
            "*",
            "*:*",
            "checkout",
            "checkout:",
            "checkout:*,x",
            "Checkout:read",
            "site:write",
            "x:read",
            " checkout:read",
        ] {
            assert_eq!(Grant::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_scope_covers_no_more_than_itself() {
        let grant = |text| Grant::parse(text).expect("a scope");
        for (own, other, covers) in [
            ("checkout:*", "checkout:read", true),
            ("checkout:*", "checkout:*", true),
            ("checkout:read", "checkout:*", false),
            ("checkout:read", "checkout:create", false),
            ("checkout:*", "client:read", false),
        ] {
            assert_eq!(grant(own).covers(grant(other)), covers, "{own} {other}");
        }
        assert!(allowed(&[grant("client:read"), grant("site:*")], Resource::Site, Action::Delete));
        assert!(!allowed(&[grant("client:read")], Resource::Client, Action::Update));
        assert!(!allowed(&[], Resource::Client, Action::Read));
    }

    #[test]
    fn roles_only_grow() {
        for (resource, action) in Resource::ALL.iter().flat_map(|r| Action::ALL.iter().map(|a| (*r, *a))) {
            let may = |role: Role| role.allows(resource, action);
            assert!(!may(Role::Viewer) || may(Role::Support), "{resource}:{action}");
            assert!(!may(Role::Support) || may(Role::Admin), "{resource}:{action}");
            assert_eq!(may(Role::Admin), resource != Resource::System, "{resource}:{action}");
        }
        for (role, resource, action, may) in [
            (Role::Viewer, Resource::Transaction, Action::Read, true),
            (Role::Viewer, Resource::Transaction, Action::Execute, false),
            (Role::Viewer, Resource::ApiKey, Action::Read, false),
            (Role::Support, Resource::Transaction, Action::Execute, true),
            (Role::Support, Resource::Provider, Action::Update, false),
            (Role::Support, Resource::Transaction, Action::Delete, false),
            (Role::Viewer, Resource::UserProfile, Action::Update, true),
        ] {
            assert_eq!(role.allows(resource, action), may, "{role} {resource}:{action}");
        }
    }
}
