//! What the operator sets for the whole instance.

use crate::Engine;
use crate::call::By;
use crate::error::Error;
use domain::audit::AuditKind;
use domain::system_settings::{KeySettings, SystemGroup, UserSettings};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::Tx;

/// All groups.
#[derive(Clone, Debug)]
pub struct SystemSettings {
    pub users: UserSettings,
    pub api_keys: KeySettings,
}

/// How people sign in and are invited, as it is set.
pub(crate) fn users(tx: &mut Tx<'_>) -> Result<UserSettings, Error> {
    Ok(store::system_settings::get(tx, SystemGroup::Users)?)
}

/// What keys of the Admin API must be, as it is set.
pub(crate) fn api_keys(tx: &mut Tx<'_>) -> Result<KeySettings, Error> {
    Ok(store::system_settings::get(tx, SystemGroup::ApiKeys)?)
}

impl Engine {
    pub async fn system_settings(&self) -> Result<SystemSettings, Error> {
        self.store
            .read(|tx| Ok::<_, Error>(SystemSettings { users: users(tx)?, api_keys: api_keys(tx)? }))
            .await
    }

    /// Changes how people sign in and are invited from now on.
    pub async fn change_user_settings(
        &self,
        by: By,
        change: impl Fn(&mut UserSettings) + Send + 'static,
    ) -> Result<UserSettings, Error> {
        self.change_system_group(by, SystemGroup::Users, change).await
    }

    /// Changes what keys must be that are made, changed or rotated from now on.
    pub async fn change_key_settings(
        &self,
        by: By,
        change: impl Fn(&mut KeySettings) + Send + 'static,
    ) -> Result<KeySettings, Error> {
        self.change_system_group(by, SystemGroup::ApiKeys, change).await
    }

    async fn change_system_group<T>(
        &self,
        by: By,
        group: SystemGroup,
        change: impl Fn(&mut T) + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Default + std::fmt::Debug + Send + 'static,
    {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let mut settings: T = store::system_settings::lock(tx, group, engine.now())?;
                let before = format!("{settings:?}");
                change(&mut settings);
                store::system_settings::put(tx, group, &settings, engine.now())?;
                let detail = format!("{before} to {settings:?}");
                engine.audit_by(tx, &by, AuditKind::SettingsChanged, (None, None), group, detail)?;
                Ok::<_, Error>(settings)
            })
            .await
    }
}
