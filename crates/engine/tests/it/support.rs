use domain::access::Role;
use domain::audit::AuditKind;
use domain::id::MerchantId;
use domain::session::{SessionCaller, SignInRefusal};
use engine::users::Begun;
use engine::{Actor, By, Error, SignedIn, Visit};
use testkit::{Authenticator, TestApp};

pub const REQUEST: &str = "req_test";

pub fn visit() -> Visit {
    Visit { request: REQUEST.to_owned(), address: "192.0.2.1".to_owned() }
}

/// The refusal that a command ended with.
#[track_caller]
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> SignInRefusal {
    match result {
        Err(Error::SignIn(refusal)) => refusal,
        other => panic!("no refusal: {other:?}"),
    }
}

pub fn by(caller: &SessionCaller) -> By {
    By { actor: Actor::User(caller.user), request: REQUEST.to_owned() }
}

/// Registers whoever has this invitation.
pub async fn register(app: &TestApp, token: &str) -> (Authenticator, SignedIn) {
    let mut authenticator = Authenticator::default();
    let begun = app.engine.begin_registration(token, None, REQUEST).await.expect("begun");
    let Begun::Registration(challenge) = begun else { panic!("no challenge: {begun:?}") };
    let answer = authenticator.create(&challenge);
    let code = challenge["ceremonyId"].as_str().expect("an id");
    let signed_in = app.engine.complete_registration(code, &answer, (None, ""), REQUEST).await;
    (authenticator, signed_in.expect("registered"))
}

/// A global administrator.
pub async fn global_admin(app: &TestApp, email: &str) -> (Authenticator, SignedIn) {
    let invited = app.engine.invite_global_admin(email, "Root").await.expect("invited");
    register(app, &invited.1).await
}

/// A member of an organisation, invited by somebody.
pub async fn member(
    app: &TestApp,
    inviter: &SessionCaller,
    merchant: MerchantId,
    role: Role,
    email: &str,
) -> (Authenticator, SignedIn) {
    let invited = app.engine.invite_member(by(inviter), (merchant, role), email, "").await.expect("invited");
    register(app, &invited.1).await
}

/// Signs in, or not.
pub async fn log_in(
    app: &TestApp,
    email: &str,
    authenticator: &mut Authenticator,
) -> Result<SignedIn, Error> {
    let challenge = app.engine.begin_login(email).await.expect("begun");
    let answer = authenticator.get(&challenge);
    app.engine.complete_login(challenge["ceremonyId"].as_str().expect("an id"), &answer, &visit()).await
}

/// Who the token's session says is asking now.
pub async fn caller(app: &TestApp, token: &str) -> Option<SessionCaller> {
    app.engine.session_caller(token).await.expect("read")
}

/// How many rows of this kind the audit log has.
pub async fn audited(app: &TestApp, kind: AuditKind) -> usize {
    let filter = store::audit::AuditFilter { kind: Some(kind), ..Default::default() };
    engine::audit::list(&app.store, filter, 1_000).await.expect("listed").len()
}

/// Moves everything that is remembered of a session into the past, as if so many microseconds had gone by.
pub async fn age_session(app: &TestApp, signed_in: &SignedIn, by_us: i64) {
    let (session, at) = (signed_in.caller.session, app.engine.now().plus(-by_us));
    let aged = app.store.write(move |tx| {
        tx.execute(
            "UPDATE sessions SET created_at = ?1, seen_at = ?1, authenticated_at = ?1 WHERE id = ?2",
            store::params![at, session],
        )
    });
    assert_eq!(aged.await.expect("aged"), 1);
}
