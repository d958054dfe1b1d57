//! The sandbox's stand-in for the page of a wallet or of PayPal: it asks what they should answer.

use askama::Template;

use super::form::Summary;
use super::{Checkout, Frame, MethodKind, merchant, rich};
use crate::render;

/// A page that asks for the answer of one provider.
#[derive(Clone, Copy)]
pub struct Approval<'a> {
    /// Of the payment; its state is not looked at.
    pub checkout: Checkout<'a>,
    pub method: MethodKind,
    /// The secret of this try. The form posts to `{path}/simulated/{code}` as `outcome=approve`,
    /// `outcome=decline` or `outcome=leave`.
    pub code: &'a str,
}

#[derive(Template)]
#[template(path = "checkout/simulated.html")]
struct SimulatedPage<'a> {
    frame: Frame<'a>,
    provider: &'static str,
    banner: String,
    question: String,
    pay_to: String,
    total: String,
    code: &'a str,
}

/// The page, for a way to pay that leads away from the form.
pub fn approval(p: &Approval<'_>) -> String {
    let c = &p.checkout;
    let frame = Frame::new(c, None);
    let m = frame.m;
    let provider = p.method.name(m);
    let named: &[(&str, &str)] = &[("provider", provider), ("merchant", merchant(c, m))];
    render(&SimulatedPage {
        provider,
        banner: rich::sentence(m.sim_banner, named),
        question: rich::sentence(m.sim_question, named),
        pay_to: rich::sentence(m.pay_to, named),
        total: Summary::new(c).total,
        code: p.code,
        frame,
    })
}
