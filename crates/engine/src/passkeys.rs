//! A person's own passkeys, and what they are called.

use crate::Engine;
use crate::call::{Actor, By};
use crate::ceremonies::{Challenge, For};
use crate::error::Error;
use crate::webauthn::Registered;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::audit::AuditKind;
use domain::id::{PasskeyId, UserId};
use domain::limits::PASSKEYS;
use domain::passkey::{CeremonyKind, Passkey};
use domain::session::{SessionCaller, SignInRefusal};
use domain::text;
use domain::user::NAME_CHARS;
use serde_json::Value;
use store::{StoreError, Tx};

/// What a passkey is called until its owner says otherwise.
const LABEL: &str = "Passkey";

/// Checks a name or label that somebody gives; trimmed.
pub(crate) fn named(param: &str, given: &str) -> Result<String, Error> {
    let given = given.trim();
    let wrong = |e: text::TextRefusal| Error::invalid(param, "parameter_invalid", e.to_string());
    text::single_line(given, NAME_CHARS).map_err(wrong)?;
    Ok(given.to_owned())
}

/// What the authenticator calls a passkey, from what is kept of it.
fn credential_id(credential: &str) -> Option<Vec<u8>> {
    let kept: Value = serde_json::from_str(credential).ok()?;
    BASE64.decode(kept["cred"]["cred_id"].as_str()?).ok()
}

impl Engine {
    /// Somebody's passkeys, oldest first.
    pub async fn passkeys(&self, user: UserId) -> Result<Vec<Passkey>, Error> {
        let found = self.store.read(move |tx| Ok::<_, Error>(store::passkeys::of_user(tx, user)?)).await?;
        Ok(found.into_iter().map(|(passkey, _)| passkey).collect())
    }

    /// Begins adding a passkey; authenticators that have one of this person's are asked to refuse.
    ///
    /// # Errors
    /// [`SignInRefusal::ReauthenticationRequired`] when the login is too old, [`Error::Limit`] when there are
    /// [`PASSKEYS`] already.
    pub async fn begin_passkey(&self, caller: &SessionCaller) -> Result<Challenge, Error> {
        self.require_fresh_login(caller)?;
        let user = caller.user;
        let known = self.store.read(move |tx| Ok::<_, Error>(store::passkeys::of_user(tx, user)?)).await?;
        has_room(known.len())?;
        let known = known.iter().filter_map(|(_, credential)| credential_id(credential)).collect();
        let (options, state) = self.verifier.ask_registration(user, &caller.email, &caller.name, known)?;
        let whom = For { user: Some(user), session: Some(caller.session), invite: None };
        self.hand_out(self.make_ceremony(CeremonyKind::AddPasskey, whom, state), options).await
    }

    /// Ends adding a passkey.
    ///
    /// # Errors
    /// [`SignInRefusal`] when the challenge is gone or of another session, the answer is wrong, or the passkey is
    /// registered, to whomever.
    pub async fn complete_passkey(
        &self,
        caller: &SessionCaller,
        code: &str,
        answer: &Value,
        label: &str,
        request: &str,
    ) -> Result<Passkey, Error> {
        let label = named("label", label)?;
        let ceremony = self.take_ceremony(code, &[CeremonyKind::AddPasskey], Some(caller.session)).await?;
        let registered = self.verifier.registered(&ceremony.state, answer)?;
        let (engine, caller) = (self.clone(), caller.clone());
        let by = By { actor: Actor::User(caller.user), request: request.to_owned() };
        self.store
            .write(move |tx| {
                store::users::lock(tx, caller.user)?.ok_or(SignInRefusal::SessionEnded)?;
                // The session may have been ended while the authenticator was busy.
                let session = store::sessions::get(tx, caller.session)?;
                session.filter(|s| s.is_open(engine.now())).ok_or(SignInRefusal::SessionEnded)?;
                has_room(store::passkeys::of_user(tx, caller.user)?.len())?;
                engine.insert_passkey(tx, caller.user, &registered, &label, &by)
            })
            .await
    }

    /// Inserts a passkey. The caller holds the lock of the person's row.
    pub(crate) fn insert_passkey(
        &self,
        tx: &mut Tx<'_>,
        user: UserId,
        new: &Registered,
        label: &str,
        by: &By,
    ) -> Result<Passkey, Error> {
        let passkey = Passkey {
            id: self.ids.next(),
            user,
            label: if label.is_empty() { LABEL.to_owned() } else { label.to_owned() },
            sign_count: new.sign_count,
            created_at: self.now(),
            last_used_at: None,
        };
        // The index decides, whoever has it: nobody can sign in as another with a passkey of their own.
        match store::passkeys::insert(tx, &passkey, &new.credential_id, &new.credential) {
            Err(StoreError::Conflict(_)) => return Err(SignInRefusal::PasskeyTaken.into()),
            other => other?,
        }
        self.audit_person(tx, AuditKind::PasskeyAdded, Some(by), None, passkey.id, "")?;
        Ok(passkey)
    }

    /// Gives one of the caller's passkeys another label.
    pub async fn rename_passkey(
        &self,
        caller: &SessionCaller,
        id: PasskeyId,
        label: &str,
    ) -> Result<Passkey, Error> {
        let (user, label) = (caller.user, named("label", label)?);
        if label.is_empty() {
            return Err(Error::invalid("label", "parameter_missing", "must not be empty"));
        }
        self.store
            .write(move |tx| {
                if !store::passkeys::set_label(tx, user, id, &label)? {
                    return Err(Error::not_found("passkey", id));
                }
                let all = store::passkeys::of_user(tx, user)?;
                let found = all.into_iter().map(|(passkey, _)| passkey).find(|passkey| passkey.id == id);
                found.ok_or_else(|| Error::not_found("passkey", id))
            })
            .await
    }

    /// Removes one of the caller's passkeys.
    ///
    /// # Errors
    /// [`SignInRefusal::LastPasskey`], [`SignInRefusal::ReauthenticationRequired`], or not found.
    pub async fn remove_passkey(
        &self,
        caller: &SessionCaller,
        id: PasskeyId,
        request: &str,
    ) -> Result<(), Error> {
        self.require_fresh_login(caller)?;
        let (engine, user) = (self.clone(), caller.user);
        let by = By { actor: Actor::User(user), request: request.to_owned() };
        self.store
            .write(move |tx| {
                // Of two removals of the last two the second finds one left.
                store::users::lock(tx, user)?.ok_or(SignInRefusal::SessionEnded)?;
                let all = store::passkeys::of_user(tx, user)?;
                if !all.iter().any(|(passkey, _)| passkey.id == id) {
                    return Err(Error::not_found("passkey", id));
                }
                if all.len() < 2 {
                    return Err(SignInRefusal::LastPasskey.into());
                }
                store::passkeys::remove(tx, user, id)?;
                engine.audit_person(tx, AuditKind::PasskeyRemoved, Some(&by), None, id, "")
            })
            .await
    }
}

fn has_room(passkeys: usize) -> Result<(), Error> {
    if passkeys < PASSKEYS { Ok(()) } else { Err(Error::Limit { what: "passkeys", max: PASSKEYS }) }
}
