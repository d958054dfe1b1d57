//! The Admin API and the Main Backend, on both engines.

mod audit;
mod checkouts;
mod clients;
mod coverage;
mod exports;
mod figures;
mod inputs;
mod ipn_clients;
mod keyed;
mod keys;
mod merchants_server;
mod notices;
mod off_platform;
mod offboarding;
mod openapi;
mod people;
mod route_list;
mod settings;
mod setup;
mod sign_in;
mod support;
mod system_settings;
mod transactions;
