use super::{hex, instant, optional_instant};
use domain::access::Role;
use domain::merchant::Merchant;
use domain::passkey::Passkey;
use domain::session::SessionCaller;
use domain::user::{Invitation, Invite, Membership, User};
use engine::SignedIn;
use serde_json::{Value, json};

/// Whoever is signed in, with their organisations.
pub(crate) fn person(caller: &SessionCaller, organizations: &[(Merchant, Role)]) -> Value {
    let of = |(merchant, role): &(Merchant, Role)| json!({ "id": hex(merchant.id), "name": merchant.name, "role": role });
    json!({
        "id": hex(caller.user),
        "email": caller.email,
        "name": caller.name,
        "globalAdmin": caller.global_admin,
        "organizations": organizations.iter().map(of).collect::<Vec<_>>(),
    })
}

/// What somebody who signed in gets. The refresh token is not in it.
pub(crate) fn signed_in(signed_in: &SignedIn, organizations: &[(Merchant, Role)]) -> Value {
    json!({
        "token": signed_in.access_token,
        "tokenType": "Bearer",
        "expiresAt": instant(signed_in.access_ends_at),
        "sessionEndsAt": instant(signed_in.session_ends_at),
        "mode": signed_in.caller.mode,
        "authenticatedAt": instant(signed_in.caller.authenticated_at),
        "user": person(&signed_in.caller, organizations),
    })
}

pub(crate) fn passkey(passkey: &Passkey) -> Value {
    json!({
        "id": hex(passkey.id),
        "label": passkey.label,
        "createdAt": instant(passkey.created_at),
        "lastUsedAt": optional_instant(passkey.last_used_at),
    })
}

pub(crate) fn member((user, membership): &(User, Membership)) -> Value {
    json!({
        "id": hex(user.id),
        "email": user.email,
        "name": user.name,
        "role": membership.role,
        "status": user.status,
        "createdAt": instant(membership.created_at),
        "expiresAt": Value::Null,
    })
}

/// Somebody who is invited, in the form of a member.
pub(crate) fn invite(invite: &Invite) -> Value {
    let role = match &invite.invitation {
        Invitation::Member { role, .. } => Some(*role),
        Invitation::GlobalAdmin | Invitation::Recovery { .. } => None,
    };
    json!({
        "id": hex(invite.id),
        "email": invite.email,
        "name": invite.name,
        "role": role,
        "status": "invited",
        "createdAt": instant(invite.created_at),
        "expiresAt": instant(invite.expires_at),
    })
}
