//! People: registering, signing in, sessions, roles; with an authenticator of the tests' own.

mod invites;
mod logins;
mod passkeys;
mod sessions;
mod support;
