//! Signing in with a passkey, staying signed in, signing out.

use crate::cookies;
use crate::error::ApiError;
use crate::input::{credential, mode, required};
use crate::render;
use crate::request::{Answer, Personal, Visiting};
use axum::http::StatusCode;
use domain::session::{SessionCaller, SignInRefusal};
use domain::user::NAME_CHARS;
use engine::users::Begun;
use engine::{Engine, SignedIn};
use serde_json::{Value, json};

/// Longest text of a token or of a challenge's name, in bytes.
const TOKEN_MAX: usize = 100;
const EMAIL_MAX: usize = 512;

/// What somebody who signed in gets: the access token in the body, the refresh token in a cookie that no script reads.
async fn entered(engine: &Engine, status: StatusCode, signed_in: SignedIn) -> Result<Answer, ApiError> {
    let organizations = engine.organizations_of(&signed_in.caller).await?;
    let body = render::signed_in(&signed_in, &organizations);
    let cookies = signed_in.refresh_token.iter().map(|token| cookies::keep_refresh(token)).collect();
    Ok(Answer::Cookies(status, body, cookies))
}

/// Begins a login; within a session, the confirmation that dangerous acts want.
pub(crate) async fn begin(request: Visiting) -> Result<Answer, ApiError> {
    if let Some(person) = &request.person {
        return Answer::ok(request.engine().begin_reauthentication(person).await?);
    }
    let email = required(request.params.reader().raw_text("email", EMAIL_MAX)?, "email")?;
    Answer::ok(request.engine().begin_login(email.trim()).await?)
}

pub(crate) async fn complete(request: Visiting) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let code = required(reader.raw_text("ceremonyId", TOKEN_MAX)?, "ceremonyId")?;
    let credential = credential(&mut reader)?;
    let engine = request.engine();
    let visit = request.visit();
    let signed_in = match &request.person {
        Some(person) => engine.complete_reauthentication(person, code, &credential, &visit).await?,
        None => engine.complete_login(code, &credential, &visit).await?,
    };
    entered(engine, StatusCode::OK, signed_in).await
}

pub(crate) async fn refresh(request: Visiting) -> Result<Answer, ApiError> {
    let mode = mode(&mut request.params.reader(), "mode")?;
    let token =
        cookies::refresh_token(&request.headers).ok_or(engine::Error::from(SignInRefusal::SessionEnded))?;
    let signed_in = request.engine().refresh_session(&token, mode, &request.request_id).await?;
    entered(request.engine(), StatusCode::OK, signed_in).await
}

pub(crate) async fn logout(request: Personal) -> Result<Answer, ApiError> {
    request.engine().sign_out(&request.person, &request.request_id).await?;
    let cookies = vec![cookies::drop_refresh(), cookies::drop_selected()];
    Ok(Answer::Cookies(StatusCode::OK, json!({ "loggedOut": true }), cookies))
}

pub(crate) async fn check(request: Personal) -> Result<Answer, ApiError> {
    let engine = request.engine();
    let organizations = engine.organizations_of(&request.person).await?;
    let mut body = json!({ "valid": true });
    body["mode"] = json!(request.person.mode);
    body["authenticatedAt"] = render::instant(request.person.authenticated_at);
    body["reauthenticationRequired"] = json!(engine.require_fresh_login(&request.person).is_err());
    body["user"] = render::person(&request.person, &organizations);
    Answer::ok(body)
}

/// Takes up an invitation: with a passkey, or at once for whoever is signed in with its address.
pub(crate) async fn register(request: Visiting) -> Result<Answer, ApiError> {
    let token = required(request.params.reader().raw_text("token", TOKEN_MAX)?, "token")?;
    let engine = request.engine();
    match engine.begin_registration(token, request.person.as_ref(), &request.request_id).await? {
        Begun::Registration(challenge) => Answer::ok(challenge),
        Begun::Joined(person) => Answer::ok(joined(engine, &person).await?),
    }
}

async fn joined(engine: &Engine, person: &SessionCaller) -> Result<Value, ApiError> {
    let organizations = engine.organizations_of(person).await?;
    Ok(json!({ "joined": true, "user": render::person(person, &organizations) }))
}

pub(crate) async fn register_complete(request: Visiting) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let code = required(reader.raw_text("ceremonyId", TOKEN_MAX)?, "ceremonyId")?;
    let credential = credential(&mut reader)?;
    let name = reader.text("name", NAME_CHARS)?;
    let label = reader.text("label", NAME_CHARS)?.unwrap_or_default();
    let texts = (name.as_deref(), label.as_str());
    let engine = request.engine();
    let signed_in = engine.complete_registration(code, &credential, texts, &request.request_id).await?;
    entered(engine, StatusCode::CREATED, signed_in).await
}
