//! What an organisation sets for all of its sites.

use crate::Engine;
use crate::call::By;
use crate::error::Error;
use domain::audit::AuditKind;
use domain::scope::Scope;
use domain::settings_group::{CheckoutSettings, IpnSettings, RefundSettings, SettingsGroup};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A group with what is set in it.
#[derive(Clone, Debug)]
pub enum GroupSettings {
    Checkout(CheckoutSettings),
    Ipn(IpnSettings),
    Refunds(RefundSettings),
}

impl Engine {
    pub async fn group_settings(&self, scope: Scope, group: SettingsGroup) -> Result<GroupSettings, Error> {
        self.store
            .read(move |tx| {
                Ok::<_, Error>(match group {
                    SettingsGroup::Checkout => {
                        GroupSettings::Checkout(store::settings_groups::get(tx, scope, group)?)
                    }
                    SettingsGroup::Ipn => GroupSettings::Ipn(store::settings_groups::get(tx, scope, group)?),
                    SettingsGroup::Refunds => {
                        GroupSettings::Refunds(store::settings_groups::get(tx, scope, group)?)
                    }
                })
            })
            .await
    }

    /// Changes how checkouts are that are made from now on.
    pub async fn change_checkout_settings(
        &self,
        scope: Scope,
        by: By,
        change: impl Fn(&mut CheckoutSettings) + Send + 'static,
    ) -> Result<GroupSettings, Error> {
        let changed = self.change_group(scope, by, SettingsGroup::Checkout, change).await?;
        Ok(GroupSettings::Checkout(changed))
    }

    /// Changes how the notices of sites are that are made from now on.
    pub async fn change_ipn_settings(
        &self,
        scope: Scope,
        by: By,
        change: impl Fn(&mut IpnSettings) + Send + 'static,
    ) -> Result<GroupSettings, Error> {
        let changed = self.change_group(scope, by, SettingsGroup::Ipn, change).await?;
        Ok(GroupSettings::Ipn(changed))
    }

    /// Changes which refunds people confirm from now on.
    pub async fn change_refund_settings(
        &self,
        scope: Scope,
        by: By,
        change: impl Fn(&mut RefundSettings) + Send + 'static,
    ) -> Result<GroupSettings, Error> {
        let changed = self.change_group(scope, by, SettingsGroup::Refunds, change).await?;
        Ok(GroupSettings::Refunds(changed))
    }

    async fn change_group<T>(
        &self,
        scope: Scope,
        by: By,
        group: SettingsGroup,
        change: impl Fn(&mut T) + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Default + std::fmt::Debug + Send + 'static,
    {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                // Of two changes at the same time neither may undo the other.
                store::merchants::lock_mode(tx, scope)?;
                let mut settings: T = store::settings_groups::get(tx, scope, group)?;
                let before = format!("{settings:?}");
                change(&mut settings);
                store::settings_groups::put(tx, scope, group, &settings, engine.now())?;
                let detail = format!("{before} to {settings:?}");
                let of = (Some(scope.merchant), Some(scope.mode));
                engine.audit_by(tx, &by, AuditKind::SettingsChanged, of, group, detail)?;
                Ok::<_, Error>(settings)
            })
            .await
    }
}
