//! Every route of both backends: the tables from which routers, the coverage test and the OpenAPI documents are made.

use crate::callers::Access;
use crate::error::ApiError;
use crate::handlers::{
    api_keys, audit, auth, checkouts, clients, exports, figures, members, offboarding, organizations,
    profile, providers, settings, sites, system_keys, system_settings, transactions,
};
use crate::public;
use crate::request::{Anonymous, Answer, Global, Organized, Personal, Scoped, Visiting};
use domain::access::{Action, Resource};
use std::future::Future;
use std::pin::Pin;

pub(crate) type Handled = Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;

#[derive(Clone, Copy)]
pub(crate) enum Handler {
    Public(fn(Anonymous) -> Handled),
    Visitor(fn(Visiting) -> Handled),
    Person(fn(Personal) -> Handled),
    Scoped(fn(Scoped) -> Handled),
    Organized(fn(Organized) -> Handled),
    Global(fn(Global) -> Handled),
}

pub struct Endpoint {
    pub method: &'static str,
    /// Below `/api/v1`; `{…}` are ids.
    pub path: &'static str,
    pub access: Access,
    /// People need a fresh login, of the last quarter of an hour unless the operator sets another time: it shows or makes a secret, or says who may do what.
    pub fresh_login: bool,
    /// For the OpenAPI document.
    pub summary: &'static str,
    pub(crate) handler: Handler,
}

macro_rules! routes {
    ($($method:literal $path:literal $kind:ident $(($resource:ident $action:ident))? $($fresh:ident)? $summary:literal => $handler:path;)+) => {
        &[$(Endpoint {
            method: $method,
            path: $path,
            access: routes!(@access $kind $($resource $action)?),
            fresh_login: routes!(@fresh $($fresh)?),
            summary: $summary,
            handler: routes!(@handler $kind $handler),
        }),+]
    };
    (@access Public) => { Access::Public };
    (@access Visitor) => { Access::Visitor };
    (@access Cookie) => { Access::Cookie };
    (@access Person) => { Access::Person };
    (@access $kind:ident $resource:ident $action:ident) => { Access::$kind(Resource::$resource, Action::$action) };
    (@fresh) => { false };
    (@fresh fresh) => { true };
    (@handler Public $handler:path) => { Handler::Public(|request| Box::pin($handler(request))) };
    (@handler Visitor $handler:path) => { Handler::Visitor(|request| Box::pin($handler(request))) };
    (@handler Cookie $handler:path) => { Handler::Visitor(|request| Box::pin($handler(request))) };
    (@handler Person $handler:path) => { Handler::Person(|request| Box::pin($handler(request))) };
    (@handler Scope $handler:path) => { Handler::Scoped(|request| Box::pin($handler(request))) };
    (@handler Organization $handler:path) => { Handler::Organized(|request| Box::pin($handler(request))) };
    (@handler Global $handler:path) => { Handler::Global(|request| Box::pin($handler(request))) };
    (@handler Shared $handler:path) => { Handler::Global(|request| Box::pin($handler(request))) };
}

/// The Admin API.
pub static ADMIN_ROUTES: &[Endpoint] = routes![
    "POST" "/auth" Visitor "Begin a login with a passkey; within a session, confirm it." => auth::begin;
    "POST" "/auth/authenticate-complete" Visitor "Finish a login: an access token and the refresh cookie." => auth::complete;
    "POST" "/auth/refresh-token" Cookie "Get a new access token for the refresh cookie, in this mode or the other." => auth::refresh;
    "POST" "/auth/logout" Person "End the session." => auth::logout;
    "GET" "/auth/login/check" Person "Ask whether the access token is valid, and whose it is." => auth::check;
    "POST" "/auth/register" Visitor "Begin taking up an invitation." => auth::register;
    "POST" "/auth/register-complete" Visitor "Finish taking up an invitation: a passkey and a session." => auth::register_complete;
    "GET" "/profile" Person "Get your own profile." => profile::get;
    "PUT" "/profile" Person "Change your name." => profile::update;
    "GET" "/profile/passkeys" Person "List your passkeys." => profile::passkeys;
    "POST" "/profile/passkeys" Person fresh "Begin adding a passkey." => profile::begin_passkey;
    "POST" "/profile/passkeys/complete" Person "Finish adding a passkey." => profile::complete_passkey;
    "PUT" "/profile/passkeys/{id}" Person "Change a passkey's label." => profile::rename_passkey;
    "DELETE" "/profile/passkeys/{id}" Person fresh "Remove a passkey, but never the last one." => profile::remove_passkey;
    "GET" "/organizations" Shared (Organization Read) "List organisations." => organizations::list;
    "POST" "/organizations" Global (Organization Create) "Create an organisation." => organizations::create;
    "GET" "/organizations/{orgId}" Organization (Organization Read) "Get an organisation." => organizations::get;
    "PUT" "/organizations/{orgId}" Organization (Organization Update) "Change an organisation." => organizations::update;
    "GET" "/organizations/settings/{group}" Scope (Organization Execute) "Get what is set for all sites." => settings::get;
    "PUT" "/organizations/settings/{group}" Scope (Organization Execute) "Change what is set for all sites." => settings::update;
    "POST" "/organizations/{orgId}/select" Person "Choose the organisation that requests are for unless they name one." => organizations::select;
    "DELETE" "/organizations/{orgId}" Global (System Execute) fresh "Let an organisation leave, with 30 days of grace." => offboarding::delete;
    "GET" "/organizations/{orgId}/offboarding/preview" Global (System Read) "See what an organisation has, and whether it can leave." => offboarding::preview;
    "POST" "/organizations/{orgId}/offboarding" Global (System Execute) fresh "Let an organisation leave." => offboarding::begin;
    "POST" "/organizations/{orgId}/restore" Global (System Execute) fresh "Let an organisation that leaves come back." => offboarding::restore;
    "GET" "/organizations/{orgId}/users" Organization (User Read) "List members, and who is invited." => members::list;
    "POST" "/organizations/{orgId}/users" Organization (User Create) fresh "Invite somebody; the token is shown once." => members::invite;
    "PUT" "/organizations/{orgId}/users/{userId}" Organization (User Update) fresh "Give a member another role." => members::change_role;
    "DELETE" "/organizations/{orgId}/users/{userId}" Organization (User Delete) fresh "Remove a member, or take back an invitation." => members::remove;
    "GET" "/organizations/{orgId}/api-keys" Organization (ApiKey Read) "List keys, without their secrets." => api_keys::list;
    "POST" "/organizations/{orgId}/api-keys" Organization (ApiKey Create) fresh "Create a key; its text is shown once." => api_keys::create;
    "GET" "/organizations/{orgId}/api-keys/{id}" Organization (ApiKey Read) "Get a key, without its secret." => api_keys::get;
    "PUT" "/organizations/{orgId}/api-keys/{id}" Organization (ApiKey Update) fresh "Change a key's name, scopes or addresses." => api_keys::update;
    "DELETE" "/organizations/{orgId}/api-keys/{id}" Organization (ApiKey Delete) "Delete a key." => api_keys::delete;
    "POST" "/organizations/{orgId}/api-keys/{id}/revoke" Organization (ApiKey Execute) "Revoke a key at once." => api_keys::revoke;
    "POST" "/organizations/{orgId}/api-keys/{id}/rotate" Organization (ApiKey Execute) fresh "Give a key a new secret." => api_keys::rotate;
    "GET" "/api-key-scopes" Public "List the scopes that keys may have." => api_keys::scopes;
    "GET" "/system/api-keys" Global (System Read) "List system keys, without their secrets." => system_keys::list;
    "POST" "/system/api-keys" Global (System Create) fresh "Create a system key; its text is shown once." => system_keys::create;
    "GET" "/system/api-keys/{id}" Global (System Read) "Get a system key, without its secret." => system_keys::get;
    "PUT" "/system/api-keys/{id}" Global (System Update) fresh "Change a system key's name or addresses." => system_keys::update;
    "DELETE" "/system/api-keys/{id}" Global (System Delete) "Delete a system key." => system_keys::delete;
    "POST" "/system/api-keys/{id}/revoke" Global (System Execute) "Revoke a system key at once." => system_keys::revoke;
    "POST" "/system/api-keys/{id}/rotate" Global (System Execute) fresh "Give a system key a new secret." => system_keys::rotate;
    "GET" "/system/settings" Global (System Read) "Get the settings of the instance." => system_settings::get;
    "PUT" "/system/settings/{group}" Global (System Execute) fresh "Change a group of settings of the instance." => system_settings::update;
    "GET" "/sites" Scope (Site Read) "List sites." => sites::list;
    "POST" "/sites" Scope (Site Create) fresh "Create a site; its webhook secret is shown once." => sites::create;
    "GET" "/sites/{id}" Scope (Site Read) "Get a site." => sites::get;
    "PUT" "/sites/{id}" Scope (Site Update) "Change a site." => sites::update;
    "DELETE" "/sites/{id}" Scope (Site Delete) "Take a site out of use." => sites::delete;
    "POST" "/sites/{id}/webhook-secret/regenerate" Scope (Site Update) fresh "Give a site a new webhook secret, shown once." => sites::regenerate_secret;
    "GET" "/provider-types" Public "List the kinds of providers and what each needs." => providers::kinds;
    "GET" "/providers" Scope (Provider Read) "List providers, with secrets masked." => providers::list;
    "POST" "/providers" Scope (Provider Create) fresh "Set up a provider." => providers::create;
    "GET" "/providers/{id}" Scope (Provider Read) "Get a provider, with secrets masked." => providers::get;
    "PUT" "/providers/{id}" Scope (Provider Update) fresh "Change a provider's label or credentials." => providers::update;
    "DELETE" "/providers/{id}" Scope (Provider Delete) "Delete a provider." => providers::delete;
    "POST" "/providers/{id}/toggle" Scope (Provider Update) "Enable or disable a provider." => providers::toggle;
    "POST" "/providers/{id}/test" Scope (Provider Update) "Ask the provider whether it takes the credentials." => providers::test;
    "POST" "/checkouts/{siteId}/create" Scope (Checkout Create) "Create a checkout and the link to its page." => checkouts::create;
    "GET" "/checkouts" Scope (Checkout Read) "List checkouts." => checkouts::list;
    "GET" "/checkouts/{id}" Scope (Checkout Read) "Get a checkout." => checkouts::get;
    "PATCH" "/checkouts/{id}" Scope (Checkout Update) "Change a checkout's metadata." => checkouts::update;
    "POST" "/checkouts/{id}/expire" Scope (Checkout Update) "Close a checkout early." => checkouts::expire;
    "GET" "/clients" Scope (Client Read) "List clients." => clients::list;
    "GET" "/clients/search" Scope (Client Execute) "Find clients by a part of their name or e-mail address." => clients::search;
    "POST" "/clients" Scope (Client Create) "Create a client." => clients::create;
    "GET" "/clients/{id}" Scope (Client Read) "Get a client." => clients::get;
    "PUT" "/clients/{id}" Scope (Client Update) "Change a client." => clients::update;
    "DELETE" "/clients/{id}" Scope (Client Delete) "Erase a client: its data and saved methods go, its payments stay." => clients::delete;
    "GET" "/clients/{id}/history" Scope (Client Execute) "See what was done to a client, and by whom." => clients::history;
    "GET" "/transactions" Scope (Transaction Read) "List transactions." => transactions::list;
    "GET" "/transactions/{id}" Scope (Transaction Read) "Get a transaction with its timeline." => transactions::get;
    "PUT" "/transactions/{id}" Scope (Transaction Update) "Change a transaction's metadata." => transactions::update;
    "POST" "/transactions/manual" Scope (Transaction Create) "Record a payment that came another way." => transactions::record_off_platform;
    "POST" "/transactions/{id}/mark-paid" Scope (Transaction Execute) "Say that the awaited money of a recorded payment came." => transactions::mark_paid;
    "DELETE" "/transactions/{id}" Scope (Transaction Delete) "Take a transaction that took no money out of the lists." => transactions::delete;
    "POST" "/transactions/{id}/refund" Scope (Transaction Execute) "Refund a transaction in full or in part." => transactions::refund;
    "POST" "/transactions/{id}/cancel" Scope (Transaction Execute) "Cancel a transaction that is not captured." => transactions::cancel;
    "POST" "/transactions/{id}/ipn/retry" Scope (Transaction Execute) "Send the latest notice again." => transactions::retry_notice;
    "GET" "/dashboard" Scope (Transaction Read) "Figures by day or provider." => figures::dashboard;
    "POST" "/data-import-export/export" Scope (DataIo Execute) "Download transactions, clients, checkouts or refunds as CSV." => exports::export;
    "GET" "/audit-logs" Scope (Audit Read) "List the organisation's audit log." => audit::list;
    "GET" "/audit-logs/export" Scope (Audit Read) "Download the organisation's audit log with its seals." => audit::export;
    "GET" "/system/audit-logs" Global (System Read) "List the audit log of the whole instance." => audit::list_all;
    "GET" "/system/audit-logs/export" Global (System Read) "Download the audit log of the whole instance with its seals." => audit::export_all;
];

/// The Main Backend.
pub static PUBLIC_ROUTES: &[Endpoint] = routes![
    "GET" "/checkouts/{id}" Public "Get what a checkout's page shows." => public::session;
    "POST" "/transactions/create" Public "Submit a payment for a checkout." => public::pay;
    "GET" "/transactions/{id}/status" Public "Get a transaction's status." => public::status;
    "POST" "/transactions/{id}/mark-pending" Public "Say that the payer has left for the provider's page." => public::mark_pending;
    "POST" "/transactions/{id}/cancel" Public "Give up before the money is taken." => public::cancel;
];
