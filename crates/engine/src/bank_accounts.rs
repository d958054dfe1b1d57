//! Bank accounts to which a merchant has its balance paid out.

use crate::Engine;
use crate::call::{By, Call, Reply};
use crate::error::Error;
use crate::view::View;
use domain::Metadata;
use domain::audit::AuditKind;
use domain::bank_account::{BankAccount, HolderType, stand_in};
use domain::currency::Currency;
use domain::id::BankAccountId;
use domain::limits::BANK_ACCOUNTS;
use domain::payout::{AccountNumber, Destination};
use domain::scope::Scope;
use store::Tx;

/// An account that is to be added.
#[derive(Clone, Debug)]
pub struct NewBankAccount {
    pub number: AccountNumber,
    pub holder: String,
    pub holder_type: Option<HolderType>,
    /// Two letters; that of the IBAN if it is one.
    pub country: Option<String>,
    pub currency: Currency,
    pub bank_name: Option<String>,
    pub swift: Option<String>,
    /// To take the place of the currency's default account. The first account of a currency is its default anyway.
    pub make_default: bool,
    pub metadata: Metadata,
}

/// What is to be set; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct BankAccountChanges {
    pub holder: Option<String>,
    pub holder_type: Option<HolderType>,
    pub make_default: bool,
}

fn context(scope: Scope, id: BankAccountId) -> String {
    format!("bank_accounts.account.{}.{}.{id}", scope.merchant, scope.mode)
}

fn not_found(id: BankAccountId) -> Error {
    Error::not_found("bank_account", id)
}

impl Engine {
    /// Adds an account.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is there already in this currency; [`Error::Limit`].
    pub async fn add_bank_account(&self, call: &Call, new: NewBankAccount) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            // Of two requests at the same time one finds the other's account: there is one default a currency.
            store::merchants::lock_mode(tx, scope)?;
            if store::bank_accounts::count(tx, scope)? >= BANK_ACCOUNTS {
                return Err(Error::Limit { what: "bank accounts", max: BANK_ACCOUNTS });
            }
            let fingerprint = engine.vault.card_fingerprint(scope.merchant, new.number.expose());
            let others = store::bank_accounts::of_currency(tx, scope, new.currency)?;
            if let Some(same) = others.iter().find(|other| other.fingerprint == fingerprint) {
                let message = format!(
                    "This account is there already for {}: {}. Use that one, or delete it first.",
                    new.currency.lower(),
                    same.id
                );
                let param = if new.number.country().is_some() { "iban" } else { "account_number" };
                return Err(Error::invalid(param, "bank_account_exists", message));
            }
            if let (Some(said), Some(country)) = (&new.country, new.number.country())
                && said != country
            {
                let message = format!("The IBAN is one of {country}. Leave country out, or check the IBAN.");
                return Err(Error::invalid("country", "country_code_invalid", message));
            }
            let account = BankAccount {
                id: engine.ids.next(),
                scope,
                holder: new.holder.clone(),
                holder_type: new.holder_type,
                country: new.number.country().map(str::to_owned).or_else(|| new.country.clone()),
                currency: new.currency,
                bank_name: new.bank_name.clone(),
                swift: new.swift.clone(),
                last4: new.number.last4().to_owned(),
                fingerprint,
                is_default: others.is_empty() || new.make_default,
                metadata: new.metadata.clone(),
                created_at: engine.now(),
            };
            if account.is_default {
                end_default(tx, others)?;
            }
            let sealed = engine.vault.seal(&context(scope, account.id), new.number.expose().as_bytes())?;
            store::bank_accounts::insert(tx, &account, &sealed)?;
            engine.audit_account(tx, call, AuditKind::ObjectCreated, &account)?;
            Ok(View::BankAccount(account))
        })
        .await
    }

    pub async fn change_bank_account<M>(
        &self,
        call: &Call,
        id: BankAccountId,
        changes: BankAccountChanges,
        metadata: M,
    ) -> Result<Reply, Error>
    where
        M: Fn(&mut Metadata) -> Result<(), Error> + Send + 'static,
    {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            store::merchants::lock_mode(tx, scope)?;
            let mut account = store::bank_accounts::get(tx, scope, id)?.ok_or_else(|| not_found(id))?;
            if let Some(holder) = &changes.holder {
                account.holder.clone_from(holder);
            }
            account.holder_type = changes.holder_type.or(account.holder_type);
            if changes.make_default && !account.is_default {
                let others = store::bank_accounts::of_currency(tx, scope, account.currency)?;
                end_default(tx, others)?;
                account.is_default = true;
            }
            metadata(&mut account.metadata)?;
            store::bank_accounts::update(tx, &account)?;
            engine.audit_account(tx, call, AuditKind::SettingsChanged, &account)?;
            Ok(View::BankAccount(account))
        })
        .await
    }

    /// Removes an account with its number. Payouts to it that are under way go on. If it was the default of its
    /// currency, the oldest other one becomes it.
    pub async fn remove_bank_account(&self, call: &Call, id: BankAccountId) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            store::merchants::lock_mode(tx, scope)?;
            let account = store::bank_accounts::get(tx, scope, id)?.ok_or_else(|| not_found(id))?;
            store::bank_accounts::delete(tx, id)?;
            engine.audit_account(tx, call, AuditKind::ObjectDeleted, &account)?;
            if account.is_default {
                let others = store::bank_accounts::of_currency(tx, scope, account.currency)?;
                if let Some(oldest) = others.into_iter().next() {
                    store::bank_accounts::update(tx, &BankAccount { is_default: true, ..oldest })?;
                }
            }
            Ok(View::BankAccountDeleted(id))
        })
        .await
    }

    /// Where a merchant's money goes is worth an entry, whoever changed it.
    fn audit_account(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        kind: AuditKind,
        account: &BankAccount,
    ) -> Result<(), Error> {
        let by = By { actor: call.caller.actor, request: call.request.clone() };
        let of = (Some(account.scope.merchant), Some(account.scope.mode));
        let default = if account.is_default { ", the default" } else { "" };
        let detail =
            format!("bank account in {} ending in {}{default}", account.currency.lower(), account.last4);
        self.audit_by(tx, &by, kind, of, account.id, detail)
    }

    /// Where a payout goes: to `wanted`, or to the currency's default account. In test mode a sandbox account stands in
    /// where there is none.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such account, or it takes another currency.
    pub(crate) fn destination(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        currency: Currency,
        wanted: Option<BankAccountId>,
    ) -> Result<(AccountNumber, Destination), Error> {
        let account = match wanted {
            Some(id) => Some(
                store::bank_accounts::get(tx, scope, id)?
                    .ok_or_else(|| Error::missing("destination", "bank account", id))?,
            ),
            None => {
                store::bank_accounts::of_currency(tx, scope, currency)?.into_iter().find(|a| a.is_default)
            }
        };
        let Some(account) = account else {
            if !scope.mode.is_live()
                && let Some(stand_in) = stand_in()
            {
                return Ok(stand_in);
            }
            let message = format!(
                "There is no bank account for {}. Add one with POST /v2/bank_accounts.",
                currency.lower()
            );
            return Err(Error::invalid("destination", "payouts_not_allowed", message));
        };
        if account.currency != currency {
            let message = format!(
                "{} takes {}, and the payout is in {}. Pass an account of that currency.",
                account.id,
                account.currency.lower(),
                currency.lower()
            );
            return Err(Error::invalid("destination", "bank_account_currency", message));
        }
        let lost = || Error::Internal(format!("the number of {} is missing or broken", account.id));
        let sealed = store::bank_accounts::account(tx, scope, account.id)?.ok_or_else(lost)?;
        let plain = self.vault.open(&context(scope, account.id), &sealed)?;
        let number = String::from_utf8(plain).ok().and_then(|text| AccountNumber::parse(&text).ok());
        Ok((number.ok_or_else(lost)?, account.destination()))
    }
}

/// Takes the default's place from whichever of `accounts` has it, before another gets it: an index allows one.
fn end_default(tx: &mut Tx<'_>, accounts: Vec<BankAccount>) -> Result<(), Error> {
    for account in accounts.into_iter().filter(|a| a.is_default) {
        store::bank_accounts::update(tx, &BankAccount { is_default: false, ..account })?;
    }
    Ok(())
}
