//! How organisations leave.

use crate::Engine;
use crate::audit::{Draft, GATEWAY};
use crate::call::By;
use crate::error::Error;
use crate::view::Balance;
use domain::audit::AuditKind;
use domain::id::MerchantId;
use domain::merchant::Merchant;
use domain::offboarding::{Blocker, NewOffboarding, Offboarding};
use domain::scope::{Mode, Scope};
use domain::time::Timestamp;
use store::Tx;

/// Organisations that are looked at in one go: more never leave at the same time.
const DUE_MAX: i64 = 10_000;

/// What an organisation has, and whether it can leave.
#[derive(Clone, Debug)]
pub struct OffboardingPreview {
    pub merchant: Merchant,
    /// Objects by the names of their kinds; large numbers are cut.
    pub counts: Vec<(&'static str, i64)>,
    pub balances: Vec<(Mode, Vec<Balance>)>,
    pub blockers: Vec<Blocker>,
}

impl Engine {
    pub async fn preview_offboarding(&self, id: MerchantId) -> Result<OffboardingPreview, Error> {
        self.store
            .read(move |tx| {
                let merchant = store::merchants::get(tx, id)?.ok_or_else(|| missing(id))?;
                let mut balances = Vec::new();
                for mode in Mode::ALL {
                    let of = store::ledger::merchant_balances(tx, Scope { merchant: id, mode: *mode })?;
                    balances.push((*mode, of.iter().map(Balance::from).collect()));
                }
                Ok(OffboardingPreview {
                    merchant,
                    counts: store::offboarding::counts(tx, id)?,
                    balances,
                    blockers: blockers(tx, id)?,
                })
            })
            .await
    }

    /// Lets an organisation only wind up from now on, and be closed after the days of grace.
    ///
    /// # Errors
    /// [`Error::Conflict`] while real money is on its way, or when it leaves already.
    pub async fn begin_offboarding(
        &self,
        id: MerchantId,
        by: By,
        new: NewOffboarding,
    ) -> Result<Merchant, Error> {
        // Looks at every payment, so not within the writer. One that begins meanwhile is seen when it is closed.
        let open =
            self.store.read(move |tx| Ok::<_, Error>(store::offboarding::open_payments(tx, id)?)).await?;
        let engine = self.clone();
        let changed = self
            .store
            .write(move |tx| {
                let mut merchant = store::merchants::lock(tx, id)?.ok_or_else(|| missing(id))?;
                if let Some(known) = &merchant.offboarding {
                    return Err(leaves_already(known));
                }
                let mut blockers = store::offboarding::balances(tx, id)?;
                let balances = told(&blockers);
                blockers.extend(open.clone());
                blockers.retain(|blocker| blocker.holds_up(new.accepts_balances));
                refuse_blocked(&blockers)?;
                let reason = new.reason.as_deref().unwrap_or("none");
                let detail = format!(
                    "offboarding begins, with {} days of grace; reason: {reason}; balances: {balances}",
                    new.grace_days
                );
                merchant.offboarding = Some(Offboarding::begin(new.clone(), engine.now()));
                store::offboarding::set(tx, id, merchant.offboarding.as_ref())?;
                engine.audit_by(tx, &by, AuditKind::SettingsChanged, (Some(id), None), id.0.hex(), detail)?;
                Ok(merchant)
            })
            .await?;
        self.forget_settings(id);
        Ok(changed)
    }

    /// Lets an organisation that leaves come back within its time of grace.
    ///
    /// # Errors
    /// [`Error::Conflict`] for one that does not leave, or is closed.
    pub async fn restore_merchant(&self, id: MerchantId, by: By) -> Result<Merchant, Error> {
        let engine = self.clone();
        let changed = self
            .store
            .write(move |tx| {
                let mut merchant = store::merchants::lock(tx, id)?.ok_or_else(|| missing(id))?;
                match &merchant.offboarding {
                    None => {
                        let message = "This organisation is active; there is nothing to restore.".to_owned();
                        return Err(Error::Conflict { code: "not_offboarding", message });
                    }
                    Some(known) if known.closed_at.is_some() => return Err(leaves_already(known)),
                    Some(_) => merchant.offboarding = None,
                }
                store::offboarding::set(tx, id, None)?;
                let of = (Some(id), None);
                engine.audit_by(
                    tx,
                    &by,
                    AuditKind::SettingsChanged,
                    of,
                    id.0.hex(),
                    "offboarding is taken back",
                )?;
                Ok(merchant)
            })
            .await?;
        self.forget_settings(id);
        Ok(changed)
    }

    /// Closes organisations whose time of grace is over. One whose real money is on its way again stays as it is,
    /// until it is not. How many were closed.
    pub async fn close_offboarded(&self) -> Result<usize, Error> {
        let now = self.now();
        let due =
            self.store.read(move |tx| Ok::<_, Error>(store::offboarding::due(tx, now, DUE_MAX)?)).await?;
        let mut closed = 0;
        for id in due {
            // One that cannot be closed must not keep the others.
            match self.close(id, now).await {
                Ok(true) => closed += 1,
                Ok(false) => {}
                Err(e) => tracing::error!(merchant = %id, error = ?e, "an organisation could not be closed"),
            }
        }
        Ok(closed)
    }

    async fn close(&self, id: MerchantId, now: Timestamp) -> Result<bool, Error> {
        let open =
            self.store.read(move |tx| Ok::<_, Error>(store::offboarding::open_payments(tx, id)?)).await?;
        if open.is_some() {
            tracing::info!(merchant = %id, "payments are open, so the organisation is not closed yet");
            return Ok(false);
        }
        let engine = self.clone();
        let closed = self.store.write(move |tx| engine.close_in(tx, id, now)).await?;
        if closed {
            self.forget_settings(id);
            self.forget_admin_keys(id);
            self.forget_keys(id);
        }
        Ok(closed)
    }

    fn close_in(&self, tx: &mut Tx<'_>, id: MerchantId, now: Timestamp) -> Result<bool, Error> {
        let Some(merchant) = store::merchants::lock(tx, id)? else { return Ok(false) };
        let due = merchant.offboarding.filter(|o| o.closed_at.is_none() && o.ends_at <= now);
        let Some(mut offboarding) = due else { return Ok(false) };
        let balances = store::offboarding::balances(tx, id)?;
        if balances.iter().any(|blocker| blocker.holds_up(offboarding.accepts_balances)) {
            tracing::info!(merchant = %id, "money is there or on its way, so the organisation is not closed yet");
            return Ok(false);
        }
        store::offboarding::close(tx, id, now)?;
        offboarding.closed_at = Some(now);
        store::offboarding::set(tx, id, Some(&offboarding))?;
        let detail = format!(
            "the organisation was closed: its keys, members, providers and webhooks are gone; balances: {}",
            told(&balances)
        );
        let draft = Draft {
            merchant: Some(id),
            mode: None,
            kind: AuditKind::ObjectDeleted,
            actor: GATEWAY.to_owned(),
            subject: Some(id.0.hex()),
            request: None,
            detail,
            at: now,
        };
        self.write_audit(tx, draft)?;
        Ok(true)
    }

    /// Refuses to wind up an organisation that is closed. Known as late as for [`Engine::require_open`].
    ///
    /// # Errors
    /// [`Error::Offboarding`].
    pub async fn require_not_closed(&self, scope: Scope) -> Result<(), Error> {
        match &self.settings(scope).await?.offboarding {
            Some(offboarding) if offboarding.closed_at.is_some() => Err(refusal(offboarding)),
            _ => Ok(()),
        }
    }

    /// Refuses to begin anything in an organisation that leaves. Known up to a second late, as settings are; so
    /// what closes it looks at its money once more.
    ///
    /// # Errors
    /// [`Error::Offboarding`].
    pub async fn require_open(&self, scope: Scope) -> Result<(), Error> {
        match &self.settings(scope).await?.offboarding {
            Some(offboarding) => Err(refusal(offboarding)),
            None => Ok(()),
        }
    }
}

/// Refuses to give anybody new rights in an organisation that leaves. Under the lock of its row, which the caller takes
/// here: of this and the beginning of its end one is first.
pub(crate) fn require_staying(tx: &mut Tx<'_>, id: MerchantId) -> Result<Merchant, Error> {
    let merchant = store::merchants::lock(tx, id)?.ok_or_else(|| missing(id))?;
    match &merchant.offboarding {
        Some(offboarding) => Err(refusal(offboarding)),
        None => Ok(merchant),
    }
}

fn refusal(offboarding: &Offboarding) -> Error {
    Error::Offboarding { ends_at: offboarding.ends_at, closed: offboarding.closed_at.is_some() }
}

/// Whose real money is on its way.
fn blockers(tx: &mut Tx<'_>, id: MerchantId) -> Result<Vec<Blocker>, Error> {
    let mut all = store::offboarding::balances(tx, id)?;
    all.extend(store::offboarding::open_payments(tx, id)?);
    Ok(all)
}

fn told(blockers: &[Blocker]) -> String {
    blockers.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn refuse_blocked(blockers: &[Blocker]) -> Result<(), Error> {
    if blockers.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Real money is on its way: {}. Capture, cancel, mark as paid or wait for what is open; pay balances out, or send acceptBalances \
         if they are settled elsewhere.",
        told(blockers)
    );
    Err(Error::Conflict { code: "offboarding_blocked", message })
}

fn missing(id: MerchantId) -> Error {
    Error::not_found("organization", id.0.hex())
}

fn leaves_already(known: &Offboarding) -> Error {
    let (code, message) = match known.closed_at {
        Some(_) => {
            ("organization_closed", "This organisation is closed for good. Make a new one.".to_owned())
        }
        None => {
            let message = "This organisation leaves already. To let it stay, restore it.".to_owned();
            ("offboarding_begun", message)
        }
    };
    Error::Conflict { code, message }
}
