//! Webhooks from the merchant's side: endpoints through the API, deliveries over real sockets, both
//! engines.

mod delivery;
mod egress;
mod endpoints;
mod fairness;
mod hostile;
mod raw_receiver;
mod resend;
mod restart;
mod retries;
mod rotation;
mod signature;
mod support;
