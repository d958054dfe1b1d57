//! One file a noun: fields in, engine command, object out.

pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod checkouts;
pub(crate) mod clients;
pub(crate) mod exports;
pub(crate) mod figures;
pub(crate) mod members;
pub(crate) mod offboarding;
pub(crate) mod organizations;
pub(crate) mod profile;
pub(crate) mod providers;
pub(crate) mod settings;
pub(crate) mod sites;
pub(crate) mod system_keys;
pub(crate) mod system_settings;
pub(crate) mod transactions;
