//! Every route of the surface: one table, from which the router and the coverage tests are made.

use crate::error::ApiError;
use crate::handlers::{
    balance, bank_accounts, charges, customers, events, payment_intents, payment_methods, payouts, refunds,
    test_helpers, webhook_endpoints,
};
use crate::request::{Answer, Request};
use std::future::Future;
use std::pin::Pin;

/// Which keys a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Secret keys only.
    Secret,
    /// Publishable keys too: making a payment method.
    Tokenise,
    /// Publishable keys too, for one payment, with its client secret.
    ClientSecret,
}

pub(crate) type Handled = Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;

pub struct Endpoint {
    pub method: &'static str,
    /// Below the mount; `{…}` are ids.
    pub path: &'static str,
    pub access: Access,
    /// 404 for live keys.
    pub test_only: bool,
    pub(crate) handler: fn(Request) -> Handled,
}

macro_rules! routes {
    ($($method:literal $path:literal $access:ident $(($test_only:ident))? => $handler:path;)+) => {
        &[$(Endpoint {
            method: $method,
            path: $path,
            access: Access::$access,
            test_only: routes!(@flag $($test_only)?),
            handler: |request| Box::pin($handler(request)),
        }),+]
    };
    (@flag test_only) => { true };
    (@flag) => { false };
}

pub static ROUTES: &[Endpoint] = routes![
    "POST" "/payment_intents" Secret => payment_intents::create;
    "GET" "/payment_intents" Secret => payment_intents::list;
    "GET" "/payment_intents/{id}" ClientSecret => payment_intents::retrieve;
    "POST" "/payment_intents/{id}" Secret => payment_intents::update;
    "POST" "/payment_intents/{id}/confirm" ClientSecret => payment_intents::confirm;
    "POST" "/payment_intents/{id}/capture" Secret => payment_intents::capture;
    "POST" "/payment_intents/{id}/cancel" Secret => payment_intents::cancel;
    "POST" "/payment_intents/{id}/increment_authorization" Secret => payment_intents::increment;
    "GET" "/payment_intents/{id}/refunds" Secret => refunds::list_of_payment;
    "POST" "/payment_methods" Tokenise => payment_methods::create;
    "GET" "/payment_methods" Secret => payment_methods::list;
    "GET" "/payment_methods/{id}" Secret => payment_methods::retrieve;
    "POST" "/payment_methods/{id}" Secret => payment_methods::update;
    "POST" "/payment_methods/{id}/attach" Secret => payment_methods::attach;
    "POST" "/payment_methods/{id}/detach" Secret => payment_methods::detach;
    "GET" "/charges" Secret => charges::list;
    "GET" "/charges/{id}" Secret => charges::retrieve;
    "GET" "/charges/{id}/refunds" Secret => refunds::list_of_charge;
    "POST" "/refunds" Secret => refunds::create;
    "GET" "/refunds" Secret => refunds::list;
    "GET" "/refunds/{id}" Secret => refunds::retrieve;
    "POST" "/refunds/{id}" Secret => refunds::update;
    "POST" "/payouts" Secret => payouts::create;
    "GET" "/payouts" Secret => payouts::list;
    "GET" "/payouts/{id}" Secret => payouts::retrieve;
    "POST" "/payouts/{id}" Secret => payouts::update;
    "POST" "/payouts/{id}/cancel" Secret => payouts::cancel;
    "POST" "/bank_accounts" Secret => bank_accounts::create;
    "GET" "/bank_accounts" Secret => bank_accounts::list;
    "GET" "/bank_accounts/{id}" Secret => bank_accounts::retrieve;
    "POST" "/bank_accounts/{id}" Secret => bank_accounts::update;
    "DELETE" "/bank_accounts/{id}" Secret => bank_accounts::delete;
    "POST" "/customers" Secret => customers::create;
    "GET" "/customers" Secret => customers::list;
    "GET" "/customers/{id}" Secret => customers::retrieve;
    "POST" "/customers/{id}" Secret => customers::update;
    "DELETE" "/customers/{id}" Secret => customers::erase;
    "GET" "/customers/{id}/payment_methods" Secret => payment_methods::list_of_customer;
    "GET" "/customers/{id}/payment_methods/{payment_method}" Secret => payment_methods::retrieve_of_customer;
    "POST" "/webhook_endpoints" Secret => webhook_endpoints::create;
    "GET" "/webhook_endpoints" Secret => webhook_endpoints::list;
    "GET" "/webhook_endpoints/{id}" Secret => webhook_endpoints::retrieve;
    "POST" "/webhook_endpoints/{id}" Secret => webhook_endpoints::update;
    "DELETE" "/webhook_endpoints/{id}" Secret => webhook_endpoints::delete;
    "POST" "/webhook_endpoints/{id}/rotate_secret" Secret => webhook_endpoints::rotate_secret;
    "GET" "/webhook_endpoints/{id}/deliveries" Secret => webhook_endpoints::deliveries;
    "GET" "/events" Secret => events::list;
    "GET" "/events/{id}" Secret => events::retrieve;
    "POST" "/events/{id}/resend" Secret => events::resend;
    "GET" "/balance" Secret => balance::retrieve;
    "GET" "/balance/history" Secret => balance::history;
    "GET" "/balance/history/export" Secret => balance::export;
    "GET" "/balance/history/{id}" Secret => balance::history_item;
    "GET" "/balance_transactions" Secret => balance::history;
    "GET" "/balance_transactions/{id}" Secret => balance::history_item;
    "POST" "/test_helpers/test_clocks" Secret (test_only) => test_helpers::create_clock;
    "GET" "/test_helpers/test_clocks" Secret (test_only) => test_helpers::list_clocks;
    "GET" "/test_helpers/test_clocks/{id}" Secret (test_only) => test_helpers::retrieve_clock;
    "POST" "/test_helpers/test_clocks/{id}/advance" Secret (test_only) => test_helpers::advance_clock;
    "DELETE" "/test_helpers/test_clocks/{id}" Secret (test_only) => test_helpers::delete_clock;
    "POST" "/test_helpers/payment_intents/{id}/authenticate" Secret (test_only) => test_helpers::authenticate;
];
