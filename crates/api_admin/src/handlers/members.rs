//! Who belongs to an organisation, and as what.

use crate::error::ApiError;
use crate::input::required;
use crate::render;
use crate::request::{Answer, Organized};
use domain::access::{Action, Role, allowed, catalogue};
use domain::id::{Core, UserId};
use domain::user::NAME_CHARS;
use serde_json::{Value, json};
use web::params::Reader;

fn role(reader: &mut Reader<'_>) -> Result<Role, ApiError> {
    let words: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    required(reader.one_of("role", &words)?.and_then(Role::parse), "role")
}

/// Members first, then whoever is invited.
pub(crate) async fn list(request: Organized) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let (members, invites) = request.engine().members(request.scope.merchant).await?;
    let all: Vec<Value> =
        members.iter().map(render::member).chain(invites.iter().map(render::invite)).collect();
    let (rows, total) = page.cut(all);
    Answer::ok(page.show("users", rows, i64::try_from(total).unwrap_or(i64::MAX)))
}

/// The token is in this answer and nowhere else; whoever invites hands it over.
/// A key makes nobody more than it is itself.
fn check_role(request: &Organized, role: Role) -> Result<(), ApiError> {
    let Some(own) = request.identity.ceiling() else { return Ok(()) };
    let more = catalogue().into_iter().find(|grant| {
        let action = grant.action.unwrap_or(Action::Execute);
        role.allows(grant.resource, action) && !allowed(own, grant.resource, action)
    });
    more.map_or(Ok(()), |grant| {
        let message = format!("The role {role} may do {grant}, which the key does not have itself.");
        Err(ApiError::forbidden("insufficient_scope", message).field("role"))
    })
}

pub(crate) async fn invite(request: Organized) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let email = required(reader.raw_text("email", 512)?, "email")?;
    let name = reader.text("name", NAME_CHARS)?.unwrap_or_default();
    let role = role(&mut reader)?;
    check_role(&request, role)?;
    let engine = request.engine();
    let what = (request.scope.merchant, role);
    let (invite, token) = engine.invite_member(request.by(), what, email.trim(), &name).await?;
    let mut body = render::invite(&invite);
    body["token"] = json!(token);
    Answer::created(body)
}

pub(crate) async fn change_role(request: Organized) -> Result<Answer, ApiError> {
    let id: UserId = request.id(1, "user")?;
    let role = role(&mut request.params.reader())?;
    check_role(&request, role)?;
    let changed = request.engine().change_role(request.by(), request.scope.merchant, id, role).await?;
    Answer::ok(render::member(&changed))
}

/// Ends a membership, or takes back an invitation.
pub(crate) async fn remove(request: Organized) -> Result<Answer, ApiError> {
    let id: UserId = request.id(1, "user")?;
    let core: Core = id.0;
    request.engine().remove_member(request.by(), request.scope.merchant, core).await?;
    Answer::ok(json!({ "id": core.hex(), "deleted": true }))
}
