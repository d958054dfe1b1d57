//! Merchants and what an operator sets for them.

use crate::Engine;
use crate::call::By;
use crate::error::Error;
use domain::audit::AuditKind;
use domain::fee::{FeeBase, FeeOperation, FeeRule};
use domain::id::{FeeGroupId, MerchantId};
use domain::merchant::{Merchant, MerchantMode, MerchantProfile, Provider};
use domain::money::Rounding;
use domain::rate::TierName;
use domain::scope::{Mode, Scope};
use domain::site::SiteFacet;
use domain::storefront::Storefront;
use domain::time::{DAY, MICROS};
use store::Tx;

/// The fee group that new merchants get.
pub const STANDARD_GROUP: &str = "standard";
const SETTLEMENT_DELAY_US: i64 = 2 * DAY;

/// What can be set per merchant and mode; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct ModeChanges {
    pub tier: Option<TierName>,
    pub fee_group: Option<String>,
    /// Microseconds from capture to available.
    pub settlement_delay: Option<i64>,
    pub refunds_below_zero: Option<bool>,
}

impl ModeChanges {
    /// What is set, for the audit log.
    fn told(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.tier.map(|tier| format!("tier={tier}")));
        parts.extend(self.fee_group.as_ref().map(|group| format!("fee_group={group}")));
        parts.extend(self.settlement_delay.map(|us| format!("settlement_delay={}s", us / MICROS)));
        parts.extend(self.refunds_below_zero.map(|allowed| format!("refunds_below_zero={allowed}")));
        parts.join(" ")
    }
}

impl Engine {
    /// Creates a merchant with both modes, a storefront in each, and the sandbox as its provider in
    /// test mode.
    pub async fn create_merchant(&self, name: String) -> Result<Merchant, Error> {
        self.make_merchant(None, name, MerchantProfile::default()).await
    }

    /// The same by a request, with the address for people who have questions.
    pub async fn create_organization(
        &self,
        by: By,
        name: String,
        email: Option<String>,
    ) -> Result<Merchant, Error> {
        let profile = MerchantProfile { email: email.unwrap_or_default(), ..MerchantProfile::default() };
        self.make_merchant(Some(by), name, profile).await
    }

    /// Changes an organisation's name, or its address for people who have questions.
    pub async fn change_organization(
        &self,
        id: MerchantId,
        by: By,
        name: Option<String>,
        email: Option<String>,
    ) -> Result<Merchant, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                // Of two changes at the same time neither may undo the other.
                store::merchants::lock_mode(tx, Scope { merchant: id, mode: Mode::Test })?;
                let missing = || Error::not_found("organization", id.0.hex());
                let mut merchant = store::merchants::get(tx, id)?.ok_or_else(missing)?;
                let mut told = Vec::new();
                if let Some(name) = &name {
                    told.push(format!("name {:?} to {name:?}", merchant.name));
                    merchant.name.clone_from(name);
                }
                if let Some(email) = &email {
                    told.push("support e-mail".to_owned());
                    merchant.profile.email.clone_from(email);
                }
                store::merchants::update(tx, &merchant)?;
                let of = (Some(id), None);
                engine.audit_by(tx, &by, AuditKind::SettingsChanged, of, id.0.hex(), told.join("; "))?;
                Ok(merchant)
            })
            .await
    }

    async fn make_merchant(
        &self,
        by: Option<By>,
        name: String,
        profile: MerchantProfile,
    ) -> Result<Merchant, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let now = engine.now();
                let group = engine.standard_group(tx)?;
                let merchant = Merchant {
                    id: engine.ids.next(),
                    name: name.clone(),
                    profile: profile.clone(),
                    offboarding: None,
                    created_at: now,
                };
                store::merchants::insert(tx, &merchant)?;
                for mode in Mode::ALL {
                    let settings = MerchantMode {
                        scope: Scope { merchant: merchant.id, mode: *mode },
                        storefront: engine.ids.next(),
                        tier: if mode.is_live() { TierName::Starter } else { TierName::Sandbox },
                        fee_group: group,
                        settlement_delay: SETTLEMENT_DELAY_US,
                        refunds_below_zero: false,
                    };
                    store::merchants::put_mode(tx, &settings)?;
                    let name = merchant.name.clone();
                    let storefront = Storefront::new(settings.storefront, settings.scope, name, now);
                    store::storefronts::insert(tx, &storefront)?;
                    store::sites::insert(tx, &SiteFacet::new(storefront.id, storefront.scope))?;
                }
                let sandbox = Provider {
                    id: engine.ids.next(),
                    scope: Scope { merchant: merchant.id, mode: Mode::Test },
                    connector: "sandbox".to_owned(),
                    name: "Sandbox".to_owned(),
                    enabled: true,
                    shown: Vec::new(),
                    check: None,
                    created_at: now,
                    updated_at: now,
                };
                store::providers::insert(tx, &sandbox, None)?;
                let of = (Some(merchant.id), None);
                let (kind, detail) = (AuditKind::SettingsChanged, "the merchant was made");
                match &by {
                    Some(by) => engine.audit_by(tx, by, kind, of, merchant.id.0.hex(), detail)?,
                    None => engine.audit_command(tx, kind, of, merchant.id, detail)?,
                }
                Ok::<_, Error>(merchant)
            })
            .await
    }

    /// The standard fee group; made at first use: 2.9 % and 25 minor units a capture, payouts free, any
    /// currency.
    fn standard_group(&self, tx: &mut Tx<'_>) -> Result<FeeGroupId, Error> {
        if let Some(id) = store::fees::group_by_name(tx, STANDARD_GROUP)? {
            return Ok(id);
        }
        let id = self.ids.next();
        store::fees::insert_group(tx, id, STANDARD_GROUP, self.now())?;
        let capture = FeeRule {
            operation: FeeOperation::Capture,
            currency: None,
            fixed: 25,
            basis_points: 290,
            base: FeeBase::Total,
            min: None,
            max: None,
            rounding: Rounding::HalfUp,
        };
        let payout = FeeRule { operation: FeeOperation::Payout, fixed: 0, basis_points: 0, ..capture };
        store::fees::put_rule(tx, id, &capture)?;
        store::fees::put_rule(tx, id, &payout)?;
        Ok(id)
    }

    pub async fn merchants(&self) -> Result<Vec<Merchant>, Error> {
        self.store.read(|tx| Ok::<_, Error>(store::merchants::all(tx)?)).await
    }

    pub async fn merchant_mode(&self, scope: Scope) -> Result<MerchantMode, Error> {
        self.store
            .read(move |tx| {
                store::merchants::mode(tx, scope)?.ok_or_else(|| Error::not_found("merchant", scope.merchant))
            })
            .await
    }

    /// Changes what is set for a merchant in one mode. In force within a second.
    pub async fn set_mode(&self, scope: Scope, changes: ModeChanges) -> Result<MerchantMode, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let mode = store::merchants::mode(tx, scope)?;
                let mut mode = mode.ok_or_else(|| Error::not_found("merchant", scope.merchant))?;
                if let Some(tier) = changes.tier {
                    mode.tier = tier;
                }
                if let Some(name) = &changes.fee_group {
                    let group = store::fees::group_by_name(tx, name)?;
                    mode.fee_group = group.ok_or_else(|| Error::missing("fee-group", "fee group", name))?;
                }
                mode.settlement_delay = changes.settlement_delay.unwrap_or(mode.settlement_delay);
                mode.refunds_below_zero = changes.refunds_below_zero.unwrap_or(mode.refunds_below_zero);
                store::merchants::put_mode(tx, &mode)?;
                let of = (Some(scope.merchant), Some(scope.mode));
                engine.audit_command(tx, AuditKind::SettingsChanged, of, scope.merchant, changes.told())?;
                Ok::<_, Error>(mode)
            })
            .await
    }

    /// Every fee group with its rules.
    pub async fn fee_groups(&self) -> Result<Vec<(String, Vec<FeeRule>)>, Error> {
        self.store
            .read(|tx| {
                let mut groups = Vec::new();
                for (id, name) in store::fees::groups(tx)? {
                    groups.push((name, store::fees::rules(tx, id)?));
                }
                Ok::<_, Error>(groups)
            })
            .await
    }

    /// Writes a fee rule; the group is made if it does not exist.
    pub async fn put_fee_rule(&self, group: String, rule: FeeRule) -> Result<(), Error> {
        rule.validate().map_err(|e| Error::Invalid {
            param: None,
            code: "fee_rule",
            message: e.to_string(),
        })?;
        if rule.operation == FeeOperation::Refund {
            return Err(Error::Invalid {
                param: None,
                code: "fee_rule",
                message: "fees on refunds are not taken yet: set a rule for capture or payout".to_owned(),
            });
        }
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let id = match store::fees::group_by_name(tx, &group)? {
                    Some(id) => id,
                    None => {
                        let id = engine.ids.next();
                        store::fees::insert_group(tx, id, &group, engine.now())?;
                        id
                    }
                };
                store::fees::put_rule(tx, id, &rule)?;
                let currency = rule.currency.map_or("any currency", domain::currency::Currency::lower);
                let detail = format!(
                    "fee rule of {group}: {} in {currency} is {} and {} basis points",
                    rule.operation, rule.fixed, rule.basis_points
                );
                engine.audit_command(tx, AuditKind::SettingsChanged, (None, None), id, detail)
            })
            .await
    }

    /// Removes a fee rule; false when there was none.
    pub async fn remove_fee_rule(
        &self,
        group: String,
        operation: FeeOperation,
        currency: Option<domain::currency::Currency>,
    ) -> Result<bool, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let id = store::fees::group_by_name(tx, &group)?;
                let id = id.ok_or_else(|| Error::missing("group", "fee group", &group))?;
                if !store::fees::remove_rule(tx, id, operation, currency)? {
                    return Ok(false);
                }
                let shown = currency.map_or("any currency", domain::currency::Currency::lower);
                let detail = format!("fee rule of {group} removed: {operation} in {shown}");
                engine.audit_command(tx, AuditKind::SettingsChanged, (None, None), id, detail)?;
                Ok::<_, Error>(true)
            })
            .await
    }

    /// Whether a merchant exists.
    pub async fn merchant(&self, id: MerchantId) -> Result<Merchant, Error> {
        self.store
            .read(move |tx| store::merchants::get(tx, id)?.ok_or_else(|| Error::not_found("merchant", id)))
            .await
    }
}
