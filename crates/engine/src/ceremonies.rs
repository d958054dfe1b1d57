//! Challenges that wait for an authenticator's answer. Each is taken in a commit of its own before its answer is
//! looked at, so that it is good for one answer, right or wrong.

use crate::Engine;
use crate::error::Error;
use crate::ids;
use domain::id::{InviteId, SessionId, UserId};
use domain::passkey::{CEREMONY_US, Ceremony, CeremonyKind};
use domain::session::SignInRefusal;
use serde_json::Value;
use store::Tx;

/// Random characters of a challenge's code: 190 bits.
const CODE_CHARS: usize = 32;

/// A challenge for a browser: `ceremonyId`, which comes back with the answer, and `publicKey`, the options for
/// `navigator.credentials`.
pub type Challenge = Value;

/// Whom a challenge is for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct For {
    pub user: Option<UserId>,
    pub session: Option<SessionId>,
    pub invite: Option<InviteId>,
}

impl Engine {
    pub(crate) fn make_ceremony(&self, kind: CeremonyKind, whom: For, state: String) -> Ceremony {
        Ceremony {
            code: ids::secret_text(CODE_CHARS),
            kind,
            user: whom.user,
            session: whom.session,
            invite: whom.invite,
            account: Vec::new(),
            state,
            expires_at: self.now().plus(CEREMONY_US),
        }
    }

    /// Keeps a challenge until it is answered.
    pub(crate) async fn hand_out(&self, ceremony: Ceremony, options: Value) -> Result<Challenge, Error> {
        let challenge = crate::webauthn::handed_out(&ceremony.code, options);
        self.store.write(move |tx| Ok::<_, Error>(store::ceremonies::insert(tx, &ceremony)?)).await?;
        Ok(challenge)
    }

    /// Takes a challenge of one of these kinds that was begun in this session, or in none.
    pub(crate) async fn take_ceremony(
        &self,
        code: &str,
        kinds: &[CeremonyKind],
        session: Option<SessionId>,
    ) -> Result<Ceremony, Error> {
        if code.len() != CODE_CHARS {
            return Err(SignInRefusal::ChallengeGone.into());
        }
        let (code, now) = (code.to_owned(), self.now());
        let taken = self
            .store
            .write(move |tx: &mut Tx<'_>| Ok::<_, Error>(store::ceremonies::take(tx, &code, now)?))
            .await?;
        taken
            .filter(|c| kinds.contains(&c.kind) && c.session == session)
            .ok_or_else(|| SignInRefusal::ChallengeGone.into())
    }
}
