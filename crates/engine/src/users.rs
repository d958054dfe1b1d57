//! People: how they are invited and registered, and what they are in organisations.

use crate::call::{Actor, By};
use crate::ceremonies::{Challenge, For};
use crate::error::Error;
use crate::offboarding::require_staying;
use crate::passkeys::named;
use crate::sessions::{Refresh, SignedIn};
use crate::{Engine, ids, keys, system_settings};
use domain::access::Role;
use domain::audit::AuditKind;
use domain::id::{Core, InviteId, MerchantId, TypedId, UserId};
use domain::limits::{MEMBERS, MEMBERSHIPS, OPEN_INVITES};
use domain::merchant::Merchant;
use domain::passkey::CeremonyKind;
use domain::session::{SessionCaller, SessionEnd, SignInRefusal};
use domain::user::{Invitation, Invite, Membership, User, UserStatus, email_of};
use serde_json::Value;
use store::{StoreError, Tx};

/// Random characters of an invitation's token: 190 bits.
const TOKEN_CHARS: usize = 32;
/// Global administrators that are listed.
const ADMINS_SHOWN: i64 = 1_000;

/// What taking up an invitation begins with.
#[derive(Debug)]
pub enum Begun {
    /// Nobody has the address: a passkey is made.
    Registration(Challenge),
    /// Whoever is signed in has it, and is a member now.
    Joined(SessionCaller),
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Engine {
    /// Invites somebody into an organisation; an earlier invitation of the same address is taken back. The token
    /// is in the answer and nowhere else.
    ///
    /// # Errors
    /// When they are a member already, or [`OPEN_INVITES`] are open.
    pub async fn invite_member(
        &self,
        by: By,
        (merchant, role): (MerchantId, Role),
        email: &str,
        name: &str,
    ) -> Result<(Invite, String), Error> {
        let (invite, token) = self.make_invite(email, name, Invitation::Member { merchant, role }).await?;
        let (engine, row, digest) = (self.clone(), invite.clone(), keys::digest(&token));
        self.store
            .write(move |tx| {
                let members = engine.administer(tx, merchant, &by)?;
                if members.len() >= MEMBERS {
                    return Err(Error::Limit { what: "members", max: MEMBERS });
                }
                if let Some(user) = store::users::by_email(tx, &row.email)?
                    && members.iter().any(|(member, _)| *member == user.id)
                {
                    return Err(Error::invalid(
                        "email",
                        "already_member",
                        "is a member already; change the role",
                    ));
                }
                engine.insert_invite(tx, Some(merchant), &row, &digest)?;
                let detail = format!("as {role}");
                engine.audit_person(tx, AuditKind::UserInvited, Some(&by), Some(merchant), row.id, detail)
            })
            .await?;
        Ok((invite, token))
    }

    async fn make_invite(
        &self,
        email: &str,
        name: &str,
        invitation: Invitation,
    ) -> Result<(Invite, String), Error> {
        let email =
            email_of(email).map_err(|e| Error::invalid("email", "parameter_invalid", e.to_string()))?;
        let settings = self.store.read(system_settings::users).await?;
        let now = self.now();
        let invite = Invite {
            id: self.ids.next(),
            email,
            name: named("name", name)?,
            invitation,
            created_at: now,
            expires_at: now.plus(settings.invite_us()),
            closed_at: None,
        };
        Ok((invite, format!("pgi_{}", ids::secret_text(TOKEN_CHARS))))
    }

    fn insert_invite(
        &self,
        tx: &mut Tx<'_>,
        merchant: Option<MerchantId>,
        invite: &Invite,
        digest: &[u8; 32],
    ) -> Result<(), Error> {
        let now = self.now();
        let open = store::invites::open(tx, merchant, now, rows(OPEN_INVITES))?;
        let same = open.iter().filter(|other| other.email == invite.email);
        let mut left = open.len();
        for earlier in same {
            store::invites::close(tx, earlier.id, now)?;
            left -= 1;
        }
        if left >= OPEN_INVITES {
            return Err(Error::Limit { what: "open invitations", max: OPEN_INVITES });
        }
        Ok(store::invites::insert(tx, invite, digest)?)
    }

    /// Locks an organisation's memberships, and checks in the same transaction that whoever administers still
    /// may: of two administrators who remove one another, one is refused.
    fn administer(
        &self,
        tx: &mut Tx<'_>,
        merchant: MerchantId,
        by: &By,
    ) -> Result<Vec<(UserId, Role)>, Error> {
        let members = store::memberships::lock(tx, merchant)?;
        let Actor::User(actor) = by.actor else { return Ok(members) };
        if !members.contains(&(actor, Role::Admin)) {
            let user = store::users::get(tx, actor)?;
            user.filter(|u| u.global_admin).ok_or(SignInRefusal::NotAdministrator)?;
        }
        Ok(members)
    }

    /// An organisation's members, and who is invited.
    pub async fn members(
        &self,
        merchant: MerchantId,
    ) -> Result<(Vec<(User, Membership)>, Vec<Invite>), Error> {
        let now = self.now();
        self.store
            .read(move |tx| {
                let members = store::memberships::of_merchant(tx, merchant, rows(MEMBERS))?;
                let invites = store::invites::open(tx, Some(merchant), now, rows(OPEN_INVITES))?;
                Ok::<_, Error>((members, invites))
            })
            .await
    }

    /// Gives a member another role, from their next request on.
    ///
    /// # Errors
    /// [`SignInRefusal::OwnRole`] for one's own, not found for whoever is no member.
    pub async fn change_role(
        &self,
        by: By,
        merchant: MerchantId,
        user: UserId,
        role: Role,
    ) -> Result<(User, Membership), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let was = engine.other_member(tx, &by, merchant, user)?;
                let membership = Membership { user, merchant, role, created_at: engine.now() };
                store::memberships::put(tx, &membership)?;
                let detail = format!("{was} to {role}");
                engine.audit_person(tx, AuditKind::RoleChanged, Some(&by), Some(merchant), user, detail)?;
                let all = store::memberships::of_merchant(tx, merchant, rows(MEMBERS))?;
                let found = all.into_iter().find(|(member, _)| member.id == user);
                found.ok_or_else(|| Error::not_found("user", user))
            })
            .await
    }

    /// Ends a membership, or takes back an invitation that has this id: from the next request on.
    ///
    /// # Errors
    /// As for [`Engine::change_role`].
    pub async fn remove_member(&self, by: By, merchant: MerchantId, id: Core) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                if engine.take_back(tx, &by, merchant, InviteId(id))? {
                    return Ok(());
                }
                let user = UserId::from_core(id);
                let role = engine.other_member(tx, &by, merchant, user)?;
                store::memberships::remove(tx, user, merchant)?;
                let detail = format!("was {role}");
                engine.audit_person(tx, AuditKind::MemberRemoved, Some(&by), Some(merchant), user, detail)
            })
            .await
    }

    /// The role of a member who is not the one that asks.
    fn other_member(
        &self,
        tx: &mut Tx<'_>,
        by: &By,
        merchant: MerchantId,
        user: UserId,
    ) -> Result<Role, Error> {
        let members = self.administer(tx, merchant, by)?;
        let member = members.iter().find(|(member, _)| *member == user);
        let (_, role) = member.ok_or_else(|| Error::not_found("user", user))?;
        if by.actor == Actor::User(user) {
            return Err(SignInRefusal::OwnRole.into());
        }
        Ok(*role)
    }

    fn take_back(&self, tx: &mut Tx<'_>, by: &By, merchant: MerchantId, id: InviteId) -> Result<bool, Error> {
        let Some(invite) = store::invites::get(tx, id)? else { return Ok(false) };
        if !matches!(invite.invitation, Invitation::Member { merchant: of, .. } if of == merchant) {
            return Ok(false);
        }
        self.administer(tx, merchant, by)?;
        if store::invites::close(tx, id, self.now())? {
            self.audit_person(tx, AuditKind::InviteRevoked, Some(by), Some(merchant), id, "")?;
        }
        Ok(true)
    }

    /// Begins taking up an invitation: with a passkey, or at once for whoever is signed in with the address. An
    /// address that is registered is never given a passkey by an invitation: whoever invites has the token, and
    /// would become them.
    ///
    /// # Errors
    /// [`SignInRefusal`] when the invitation is gone, or for somebody who is to sign in first.
    pub async fn begin_registration(
        &self,
        token: &str,
        caller: Option<&SessionCaller>,
        request: &str,
    ) -> Result<Begun, Error> {
        let digest = keys::digest(token.get(..keys::KEY_TEXT_MAX).unwrap_or(token));
        let now = self.now();
        let (invite, known) = self
            .store
            .read(move |tx| {
                let invite = store::invites::by_digest(tx, &digest)?.filter(|i| i.is_open(now));
                let invite = invite.ok_or(SignInRefusal::InviteGone)?;
                let known = store::users::by_email(tx, &invite.email)?;
                Ok::<_, Error>((invite, known))
            })
            .await?;
        let user = match (&invite.invitation, known) {
            (Invitation::Recovery { user }, _) => *user,
            (_, None) if caller.is_some() => return Err(SignInRefusal::InviteForAnother.into()),
            (_, None) => self.ids.next(),
            (_, Some(user)) => {
                let caller = caller.ok_or(SignInRefusal::SignInFirst)?;
                if caller.user != user.id {
                    return Err(SignInRefusal::InviteForAnother.into());
                }
                return self.join(invite, caller.clone(), request).await.map(Begun::Joined);
            }
        };
        let (options, state) =
            self.verifier.ask_registration(user, &invite.email, &invite.name, Vec::new())?;
        let whom = For { user: Some(user), session: None, invite: Some(invite.id) };
        let ceremony = self.make_ceremony(CeremonyKind::Registration, whom, state);
        Ok(Begun::Registration(self.hand_out(ceremony, options).await?))
    }

    async fn join(
        &self,
        invite: Invite,
        caller: SessionCaller,
        request: &str,
    ) -> Result<SessionCaller, Error> {
        let engine = self.clone();
        let by = By { actor: Actor::User(caller.user), request: request.to_owned() };
        self.store
            .write(move |tx| {
                let user = store::users::lock(tx, caller.user)?;
                let user = user.filter(|u| u.status == UserStatus::Active);
                let user = user.ok_or(SignInRefusal::SessionEnded)?;
                engine.take_up(tx, &invite, &user, &by)?;
                let memberships = store::memberships::of_user(tx, user.id, rows(MEMBERSHIPS))?;
                Ok(SessionCaller { memberships, ..caller.clone() })
            })
            .await
    }

    /// Ends taking up an invitation: the person is registered with this passkey, and signed in.
    ///
    /// # Errors
    /// [`SignInRefusal`] when the challenge or the invitation is gone, the answer is wrong, or the passkey is
    /// registered.
    pub async fn complete_registration(
        &self,
        code: &str,
        answer: &Value,
        (name, label): (Option<&str>, &str),
        request: &str,
    ) -> Result<SignedIn, Error> {
        let name = name.map(|name| named("name", name)).transpose()?;
        let label = named("label", label)?;
        let ceremony = self.take_ceremony(code, &[CeremonyKind::Registration], None).await?;
        let registered = self.verifier.registered(&ceremony.state, answer)?;
        let (Some(id), Some(invite)) = (ceremony.user, ceremony.invite) else {
            return Err(SignInRefusal::ChallengeGone.into());
        };
        let (engine, refresh) = (self.clone(), Refresh::new());
        let by = By { actor: Actor::User(id), request: request.to_owned() };
        self.store
            .write(move |tx| {
                let invite = store::invites::get(tx, invite)?.ok_or(SignInRefusal::InviteGone)?;
                let user = engine.registrant(tx, id, &invite, name.as_deref())?;
                engine.take_up(tx, &invite, &user, &by)?;
                engine.insert_passkey(tx, user.id, &registered, &label, &by)?;
                // With what the invitation made of them.
                let user = store::users::get(tx, user.id)?.ok_or(SignInRefusal::InviteGone)?;
                engine.open_session(tx, user, &refresh, &by)
            })
            .await
    }

    /// Who takes up an invitation: a new person, or one who lost their passkeys, locked and without any.
    fn registrant(
        &self,
        tx: &mut Tx<'_>,
        id: UserId,
        invite: &Invite,
        name: Option<&str>,
    ) -> Result<User, Error> {
        if let Invitation::Recovery { user } = &invite.invitation {
            let user = store::users::lock(tx, *user)?.filter(|u| u.status == UserStatus::Active);
            let user = user.ok_or(SignInRefusal::InviteGone)?;
            store::passkeys::remove_all(tx, user.id)?;
            store::sessions::end_all(tx, user.id, SessionEnd::Recovered)?;
            return Ok(user);
        }
        let user = User {
            id,
            email: invite.email.clone(),
            name: name.map_or_else(|| invite.name.clone(), str::to_owned),
            global_admin: false,
            status: UserStatus::Active,
            created_at: self.now(),
        };
        match store::users::insert(tx, &user) {
            Err(StoreError::Conflict(_)) => Err(SignInRefusal::SignInFirst.into()),
            other => Ok(other.map(|()| user)?),
        }
    }

    /// Uses an invitation up for somebody. Of two that take it up one does.
    fn take_up(&self, tx: &mut Tx<'_>, invite: &Invite, user: &User, by: &By) -> Result<(), Error> {
        if let Invitation::Member { merchant, .. } = &invite.invitation {
            // Before the invitation's row: whoever closes an organisation takes the two in this order.
            require_staying(tx, *merchant)?;
        }
        if !store::invites::close(tx, invite.id, self.now())? {
            return Err(SignInRefusal::InviteGone.into());
        }
        let (merchant, detail) = match &invite.invitation {
            Invitation::Member { merchant, role } => {
                self.join_as(tx, user, *merchant, *role)?;
                (Some(*merchant), format!("{} as {role}", invite.id))
            }
            Invitation::GlobalAdmin => {
                store::users::set_global_admin(tx, user.id)?;
                (None, format!("{} as a global administrator", invite.id))
            }
            Invitation::Recovery { .. } => {
                (None, format!("{} with a new passkey, for all lost ones", invite.id))
            }
        };
        self.audit_person(tx, AuditKind::UserRegistered, Some(by), merchant, user.id, detail)
    }

    fn join_as(&self, tx: &mut Tx<'_>, user: &User, merchant: MerchantId, role: Role) -> Result<(), Error> {
        if store::memberships::count(tx, merchant)? >= rows(MEMBERS) {
            return Err(Error::Limit { what: "members", max: MEMBERS });
        }
        if store::memberships::of_user(tx, user.id, rows(MEMBERSHIPS))?.len() >= MEMBERSHIPS {
            return Err(Error::Limit { what: "organisations of one person", max: MEMBERSHIPS });
        }
        // Whoever became a member by another invitation since keeps the role that they have.
        if store::memberships::role(tx, user.id, merchant)?.is_none() {
            let membership = Membership { user: user.id, merchant, role, created_at: self.now() };
            store::memberships::put(tx, &membership)?;
        }
        Ok(())
    }

    /// Gives the caller another name.
    pub async fn rename_user(&self, caller: &SessionCaller, name: &str) -> Result<User, Error> {
        let (user, name) = (caller.user, named("name", name)?);
        self.store
            .write(move |tx| {
                store::users::set_name(tx, user, &name)?;
                store::users::get(tx, user)?.ok_or_else(|| Error::not_found("user", user))
            })
            .await
    }

    /// The organisations that somebody is a member of, with their role in each.
    pub async fn organizations_of(&self, caller: &SessionCaller) -> Result<Vec<(Merchant, Role)>, Error> {
        let memberships = caller.memberships.clone();
        self.store
            .read(move |tx| {
                let mut found = Vec::new();
                for (merchant, role) in &memberships {
                    found.extend(store::merchants::get(tx, *merchant)?.map(|merchant| (merchant, *role)));
                }
                Ok::<_, Error>(found)
            })
            .await
    }

    pub async fn user(&self, id: UserId) -> Result<User, Error> {
        self.store
            .read(move |tx| store::users::get(tx, id)?.ok_or_else(|| Error::not_found("user", id)))
            .await
    }
}

/// What commands do.
impl Engine {
    /// Invites a global administrator: the token is in the answer and nowhere else. Whoever is registered with the
    /// address needs it too, for nobody has shown that the address is theirs: an administrator of any organisation
    /// may have registered it.
    pub async fn invite_global_admin(&self, email: &str, name: &str) -> Result<(Invite, String), Error> {
        let (invite, token) = self.make_invite(email, name, Invitation::GlobalAdmin).await?;
        let (engine, row, digest) = (self.clone(), invite.clone(), keys::digest(&token));
        self.store
            .write(move |tx| {
                engine.insert_invite(tx, None, &row, &digest)?;
                let detail = "as a global administrator";
                engine.audit_person(tx, AuditKind::UserInvited, None, None, row.id, detail)
            })
            .await?;
        Ok((invite, token))
    }

    /// A token for somebody who lost their passkeys: the one registered with it takes the place of all others,
    /// and every session ends.
    pub async fn recover_user(&self, id: UserId) -> Result<(Invite, String), Error> {
        let user = self.user(id).await?;
        if user.status == UserStatus::Disabled {
            return Err(Error::invalid(
                "user",
                "user_disabled",
                format!("{id} is disabled; enable them first"),
            ));
        }
        let (invite, token) =
            self.make_invite(&user.email, &user.name, Invitation::Recovery { user: id }).await?;
        let (engine, row, digest) = (self.clone(), invite.clone(), keys::digest(&token));
        self.store
            .write(move |tx| {
                engine.insert_invite(tx, None, &row, &digest)?;
                engine.audit_person(
                    tx,
                    AuditKind::UserInvited,
                    None,
                    None,
                    id,
                    "to register a new passkey for all lost ones",
                )
            })
            .await?;
        Ok((invite, token))
    }

    /// Disables somebody, or lets them in again. Their sessions end, and all they ask is refused from the next
    /// request on.
    pub async fn set_user_status(&self, id: UserId, status: UserStatus) -> Result<User, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let user = store::users::lock(tx, id)?.ok_or_else(|| Error::not_found("user", id))?;
                if user.status == status {
                    return Ok(user);
                }
                store::users::set_status(tx, id, status)?;
                if status == UserStatus::Disabled {
                    store::sessions::end_all(tx, id, SessionEnd::UserDisabled)?;
                }
                engine.audit_person(
                    tx,
                    AuditKind::UserDisabled,
                    None,
                    None,
                    id,
                    format!("{status} from now on"),
                )?;
                Ok(User { status, ..user })
            })
            .await
    }

    /// Global administrators, and who is invited to become one.
    pub async fn global_admins(&self) -> Result<(Vec<User>, Vec<Invite>), Error> {
        let now = self.now();
        self.store
            .read(move |tx| {
                let admins = store::users::global_admins(tx, ADMINS_SHOWN)?;
                let invites = store::invites::open(tx, None, now, rows(OPEN_INVITES))?;
                Ok::<_, Error>((admins, invites))
            })
            .await
    }
}
