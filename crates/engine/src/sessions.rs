//! Signing in, staying signed in, signing out.

use crate::access_token::{self, Access};
use crate::audit::Draft;
use crate::call::{Actor, By, Visit};
use crate::ceremonies::{Challenge, For};
use crate::error::Error;
use crate::login_failures::Counted;
use crate::webauthn::{Asserted, stand_ins};
use crate::{Engine, ids, keys, system_settings};
use domain::audit::AuditKind;
use domain::id::UserId;
use domain::limits::{MEMBERSHIPS, REFRESHES, SESSIONS};
use domain::passkey::{Ceremony, CeremonyKind, counter_is_sound};
use domain::scope::Mode;
use domain::session::{LOGIN_FAILURES, Session, SessionCaller, SessionEnd, SignInRefusal, is_fresh_login};
use domain::time::{MINUTE, Timestamp};
use domain::user::{User, UserStatus, email_of};
use serde_json::Value;
use store::Tx;

/// Random characters of a refresh token: 256 bits.
const REFRESH_CHARS: usize = 43;
const STAND_INS: &str = "passkey stand-ins";
const ACCOUNTS: &str = "accounts of logins";

/// What somebody who signed in gets. The texts are here and nowhere else.
#[derive(Clone)]
pub struct SignedIn {
    pub access_token: String,
    pub access_ends_at: Timestamp,
    /// For one use; `None` after a re-authentication, which leaves the one that the session has.
    pub refresh_token: Option<String>,
    /// When the session ends if nobody uses it.
    pub session_ends_at: Timestamp,
    pub caller: SessionCaller,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// A new refresh token.
pub(crate) struct Refresh {
    text: String,
    digest: [u8; 32],
}

impl Refresh {
    pub fn new() -> Refresh {
        let text = format!("pgr_{}", ids::secret_text(REFRESH_CHARS));
        Refresh { digest: keys::digest(&text), text }
    }
}

impl Engine {
    /// Begins a login: the challenge for whoever has this address. One that nobody signs in with gets a challenge
    /// of the same form, for passkeys that nobody has and that are the same each time.
    pub async fn begin_login(&self, email: &str) -> Result<Challenge, Error> {
        let email =
            email_of(email).map_err(|e| Error::invalid("email", "parameter_invalid", e.to_string()))?;
        let stand_ins = stand_ins(self.vault.keyed(STAND_INS, email.as_bytes()))?;
        let account = self.account(&email);
        let known = self
            .store
            .read(move |tx| {
                let user = store::users::by_email(tx, &email)?.filter(|u| u.status == UserStatus::Active);
                let nobody = UserId(domain::id::Core([0; 12]));
                let of = store::passkeys::of_user(tx, user.as_ref().map_or(nobody, |u| u.id))?;
                Ok::<_, Error>((user, of))
            })
            .await?;
        let (user, credentials) = match known {
            (Some(user), passkeys) if !passkeys.is_empty() => {
                (Some(user.id), passkeys.into_iter().map(|(_, credential)| credential).collect())
            }
            _ => (None, stand_ins),
        };
        let (options, state) = self.verifier.ask_login(&credentials)?;
        let whom = For { user, ..For::default() };
        let ceremony = Ceremony { account, ..self.make_ceremony(CeremonyKind::Login, whom, state) };
        self.hand_out(ceremony, options).await
    }

    /// Under which failed logins with an address are counted, whether anybody has it or not.
    fn account(&self, email: &str) -> Vec<u8> {
        self.vault.keyed(ACCOUNTS, email.as_bytes())[..16].to_vec()
    }

    /// Ends a login; the session is in test mode.
    ///
    /// # Errors
    /// [`SignInRefusal`] when the challenge is gone, the answer is wrong, or the passkey's counter did not grow. A wrong
    /// answer past [`LOGIN_FAILURES`] is told to wait.
    pub async fn complete_login(&self, code: &str, answer: &Value, visit: &Visit) -> Result<SignedIn, Error> {
        let ceremony = self.take_ceremony(code, &[CeremonyKind::Login], None).await?;
        let account = Counted::Account(ceremony.account.clone());
        let done = self.answer_login(ceremony, answer, &visit.request).await;
        self.judge(done, account, visit).await
    }

    async fn answer_login(
        &self,
        ceremony: Ceremony,
        answer: &Value,
        request: &str,
    ) -> Result<SignedIn, Error> {
        // Looked at first even when nobody signs in with the address, so that neither time nor answer says so.
        let asserted = self.verifier.asserted(&ceremony.state, answer)?;
        let user = ceremony.user.ok_or(SignInRefusal::PasskeyRefused)?;
        let (engine, request) = (self.clone(), request.to_owned());
        let refresh = Refresh::new();
        let done = self
            .store
            .write(move |tx| {
                let by = By { actor: Actor::User(user), request: request.clone() };
                let Some(user) = engine.believe(tx, user, &asserted, &by)? else { return Ok(None) };
                engine.open_session(tx, user, &refresh, &by).map(Some)
            })
            .await?;
        done.ok_or_else(|| SignInRefusal::PasskeyCloned.into())
    }

    /// Counts a login that failed, and forgets what was counted for whoever succeeds.
    async fn judge(
        &self,
        done: Result<SignedIn, Error>,
        account: Counted,
        visit: &Visit,
    ) -> Result<SignedIn, Error> {
        match &done {
            Ok(_) => self.login_failures.clear(&account),
            Err(Error::SignIn(SignInRefusal::PasskeyRefused)) => {
                let now = self.now();
                self.note_auth_failed(visit.address.clone());
                let from = Counted::Address(visit.address.clone());
                let (of, from) =
                    (self.login_failures.note(account, now), self.login_failures.note(from, now));
                if of.first || from.first {
                    self.report_failures(visit, of.first).await?;
                }
                let wait = of.wait.max(from.wait);
                if wait > 0 {
                    return Err(SignInRefusal::TooManyFailures { wait }.into());
                }
            }
            Err(_) => {}
        }
        done
    }

    /// Writes once what a run of failures came to. An account is not named: nobody need have its address.
    async fn report_failures(&self, visit: &Visit, of_account: bool) -> Result<(), Error> {
        let what = if of_account { "of one account" } else { "from this address" };
        let draft = Draft {
            merchant: None,
            mode: None,
            kind: AuditKind::LoginFailures,
            actor: visit.address.clone(),
            subject: None,
            request: Some(visit.request.clone()),
            detail: format!("{LOGIN_FAILURES} logins {what} failed within half an hour"),
            at: self.now(),
        };
        let engine = self.clone();
        self.store.write(move |tx| engine.write_audit(tx, draft.clone())).await
    }

    /// Begins a login once more within a session.
    pub async fn begin_reauthentication(&self, caller: &SessionCaller) -> Result<Challenge, Error> {
        let user = caller.user;
        let passkeys = self.store.read(move |tx| Ok::<_, Error>(store::passkeys::of_user(tx, user)?)).await?;
        let credentials: Vec<String> = passkeys.into_iter().map(|(_, credential)| credential).collect();
        let (options, state) = self.verifier.ask_login(&credentials)?;
        let whom = For { user: Some(user), session: Some(caller.session), invite: None };
        self.hand_out(self.make_ceremony(CeremonyKind::Reauthentication, whom, state), options).await
    }

    /// Ends it: the session counts as just signed in, and dangerous acts are open for as long as a login is fresh.
    ///
    /// # Errors
    /// As for [`Engine::complete_login`]; the session goes on as it was.
    pub async fn complete_reauthentication(
        &self,
        caller: &SessionCaller,
        code: &str,
        answer: &Value,
        visit: &Visit,
    ) -> Result<SignedIn, Error> {
        let kinds = [CeremonyKind::Reauthentication];
        let ceremony = self.take_ceremony(code, &kinds, Some(caller.session)).await?;
        let done = self.answer_reauthentication(caller, ceremony, answer, &visit.request).await;
        self.judge(done, Counted::Account(self.account(&caller.email)), visit).await
    }

    async fn answer_reauthentication(
        &self,
        caller: &SessionCaller,
        ceremony: Ceremony,
        answer: &Value,
        request: &str,
    ) -> Result<SignedIn, Error> {
        let asserted = self.verifier.asserted(&ceremony.state, answer)?;
        let (engine, caller) = (self.clone(), caller.clone());
        let by = By { actor: Actor::User(caller.user), request: request.to_owned() };
        let done = self
            .store
            .write(move |tx| {
                let Some(user) = engine.believe(tx, caller.user, &asserted, &by)? else { return Ok(None) };
                let now = engine.now();
                let session = store::sessions::lock(tx, caller.session)?.filter(|s| s.is_open(now));
                let session = session.ok_or(SignInRefusal::SessionEnded)?;
                store::sessions::set_authenticated(tx, session.id, now)?;
                let session = Session { seen_at: now, authenticated_at: now, ..session };
                engine.signed_in(tx, &user, &session, caller.mode, None).map(Some)
            })
            .await?;
        done.ok_or_else(|| SignInRefusal::PasskeyCloned.into())
    }

    /// Notes a right signature; whose it is. `None`, and a row in the audit log, when its counter did not grow.
    /// Under the lock of the passkey's row, so that of two signatures with one counter one is refused.
    fn believe(
        &self,
        tx: &mut Tx<'_>,
        user: UserId,
        asserted: &Asserted,
        by: &By,
    ) -> Result<Option<User>, Error> {
        let user = store::users::lock(tx, user)?.filter(|u| u.status == UserStatus::Active);
        let user = user.ok_or(SignInRefusal::PasskeyRefused)?;
        // It may have been removed since the challenge was handed out.
        let passkey = store::passkeys::lock(tx, user.id, &asserted.credential_id)?;
        let passkey = passkey.ok_or(SignInRefusal::PasskeyRefused)?;
        if !counter_is_sound(passkey.sign_count, asserted.sign_count) {
            let detail = format!(
                "a signature had counter {}, the one before it {}",
                asserted.sign_count, passkey.sign_count
            );
            self.audit_person(tx, AuditKind::PasskeyCloned, Some(by), None, passkey.id, detail)?;
            return Ok(None);
        }
        store::passkeys::set_used(tx, passkey.id, asserted.sign_count, self.now())?;
        Ok(Some(user))
    }

    /// A new session for somebody who proved who they are. The caller holds the lock of the person's row.
    pub(crate) fn open_session(
        &self,
        tx: &mut Tx<'_>,
        user: User,
        refresh: &Refresh,
        by: &By,
    ) -> Result<SignedIn, Error> {
        let now = self.now();
        store::sessions::end_oldest(tx, user.id, SESSIONS - 1, SessionEnd::Crowded)?;
        let session = Session {
            id: self.ids.next(),
            user: user.id,
            mode: Mode::Test,
            created_at: now,
            seen_at: now,
            authenticated_at: now,
            refreshes: 0,
            ended: None,
        };
        store::sessions::insert(tx, &session)?;
        store::sessions::insert_refresh(tx, &refresh.digest, session.id)?;
        self.audit_person(tx, AuditKind::SignedIn, Some(by), None, session.id, "with a passkey")?;
        self.signed_in(tx, &user, &session, session.mode, Some(refresh.text.clone()))
    }

    fn signed_in(
        &self,
        tx: &mut Tx<'_>,
        user: &User,
        session: &Session,
        mode: Mode,
        refresh_token: Option<String>,
    ) -> Result<SignedIn, Error> {
        let access = Access { user: user.id, session: session.id, mode };
        let (access_token, access_ends_at) = access_token::write(&self.vault, access, self.now());
        Ok(SignedIn {
            access_token,
            access_ends_at,
            refresh_token,
            session_ends_at: session.ends_at(),
            caller: caller(tx, user.clone(), session, mode)?,
        })
    }

    /// Who asks with an access token, as the database has it now; `None` when the token is not ours or out of
    /// time, or its session or person is no longer good. Nothing is remembered between requests, so whatever ends
    /// a session or changes a role holds from the next request on.
    pub async fn session_caller(&self, token: &str) -> Result<Option<SessionCaller>, Error> {
        let now = self.now();
        let Some(access) = access_token::read(&self.vault, token, now) else { return Ok(None) };
        let found = self
            .store
            .read(move |tx| {
                let session = store::sessions::get(tx, access.session)?.filter(|s| s.is_open(now));
                let Some(session) = session.filter(|s| s.user == access.user) else { return Ok(None) };
                let user = store::users::get(tx, access.user)?.filter(|u| u.status == UserStatus::Active);
                let Some(user) = user else { return Ok(None) };
                let caller = caller(tx, user, &session, access.mode)?;
                Ok::<_, Error>(Some((caller, session.is_to_be_seen(now))))
            })
            .await?;
        let Some((caller, unseen)) = found else { return Ok(None) };
        if unseen {
            let session = caller.session;
            self.store.write(move |tx| Ok::<_, Error>(store::sessions::see(tx, session, now)?)).await?;
        }
        Ok(Some(caller))
    }

    /// New tokens for a refresh token, which is used up; in `mode` from now on if one is named.
    ///
    /// # Errors
    /// [`SignInRefusal::RefreshReused`] when it was used before: then the session is ended, since somebody has a
    /// copy, whoever of the two it is. There is no time of grace. [`SignInRefusal::SessionEnded`] otherwise.
    pub async fn refresh_session(
        &self,
        token: &str,
        mode: Option<Mode>,
        request: &str,
    ) -> Result<SignedIn, Error> {
        let digest = keys::digest(token.get(..keys::KEY_TEXT_MAX).unwrap_or(token));
        let (engine, request, next) = (self.clone(), request.to_owned(), Refresh::new());
        let done = self
            .store
            .write(move |tx| {
                let now = engine.now();
                let of = store::sessions::of_refresh(tx, &digest)?.ok_or(SignInRefusal::SessionEnded)?;
                // Before the token is looked at: of two that bring it the second waits here, and finds it used.
                let session = store::sessions::lock(tx, of)?.ok_or(SignInRefusal::SessionEnded)?;
                if !store::sessions::use_refresh(tx, &digest, now)? {
                    engine.end_reused(tx, &session, &request)?;
                    return Ok(None);
                }
                if !session.is_open(now) || session.refreshes >= REFRESHES {
                    return Err(SignInRefusal::SessionEnded.into());
                }
                let user = store::users::get(tx, session.user)?.filter(|u| u.status == UserStatus::Active);
                let user = user.ok_or(SignInRefusal::SessionEnded)?;
                let session = Session { mode: mode.unwrap_or(session.mode), seen_at: now, ..session };
                store::sessions::refreshed(tx, session.id, session.mode, now)?;
                store::sessions::insert_refresh(tx, &next.digest, session.id)?;
                engine.signed_in(tx, &user, &session, session.mode, Some(next.text.clone())).map(Some)
            })
            .await?;
        done.ok_or_else(|| SignInRefusal::RefreshReused.into())
    }

    fn end_reused(&self, tx: &mut Tx<'_>, session: &Session, request: &str) -> Result<(), Error> {
        // A session that has ended anyway is not news, however often its tokens are brought.
        if !store::sessions::end(tx, session.id, SessionEnd::RefreshReused)? {
            return Ok(());
        }
        let by = By { actor: Actor::User(session.user), request: request.to_owned() };
        let detail = "a refresh token came twice; the session was ended";
        self.audit_person(tx, AuditKind::RefreshReused, Some(&by), None, session.id, detail)
    }

    /// Ends the caller's session: its tokens are refused from the next request on.
    pub async fn sign_out(&self, caller: &SessionCaller, request: &str) -> Result<(), Error> {
        let (engine, session) = (self.clone(), caller.session);
        let by = By { actor: Actor::User(caller.user), request: request.to_owned() };
        self.store
            .write(move |tx| {
                if store::sessions::end(tx, session, SessionEnd::Logout)? {
                    engine.audit_person(tx, AuditKind::SignedOut, Some(&by), None, session, "")?;
                }
                Ok::<_, Error>(())
            })
            .await
    }

    /// With what a dangerous act is refused in this session; `None` when its login is recent enough.
    pub(crate) fn stale_login(&self, caller: &SessionCaller) -> Option<SignInRefusal> {
        let minutes = caller.fresh_login_us / MINUTE;
        let fresh = is_fresh_login(caller.authenticated_at, caller.fresh_login_us, self.now());
        (!fresh).then_some(SignInRefusal::ReauthenticationRequired { minutes })
    }

    /// Refuses a dangerous act in a session whose login is too old for it.
    ///
    /// # Errors
    /// [`SignInRefusal::ReauthenticationRequired`].
    pub fn require_fresh_login(&self, caller: &SessionCaller) -> Result<(), Error> {
        self.stale_login(caller).map_or(Ok(()), |refusal| Err(refusal.into()))
    }
}

fn caller(tx: &mut Tx<'_>, user: User, session: &Session, mode: Mode) -> Result<SessionCaller, Error> {
    let limit = i64::try_from(MEMBERSHIPS).unwrap_or(i64::MAX);
    let memberships = store::memberships::of_user(tx, user.id, limit)?;
    Ok(SessionCaller {
        user: user.id,
        session: session.id,
        email: user.email,
        name: user.name,
        global_admin: user.global_admin,
        mode,
        memberships,
        authenticated_at: session.authenticated_at,
        fresh_login_us: system_settings::users(tx)?.fresh_login_us(),
    })
}
