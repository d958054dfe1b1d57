//! The pages of a payment that cannot be paid at the moment, or not any more.

use askama::Template;

use super::form::Summary;
use super::messages::Messages;
use super::{Checkout, Frame, State, merchant, rich};
use crate::return_url::ReturnUrl;
use crate::{Page, render};

/// Seconds a result stays before it leaves for the merchant.
const LEAVE_AFTER_SECONDS: u8 = 5;
/// Seconds after which a browser without scripts asks again.
const RELOAD_AFTER_SECONDS: u32 = 5;

#[derive(Template)]
#[template(path = "checkout/result.html")]
struct ResultPage<'a> {
    frame: Frame<'a>,
    icon: Icon,
    title: &'static str,
    pay_to: String,
    total: String,
    lines: Vec<String>,
    /// Where to go next; the label is HTML.
    action: Option<(String, String)>,
    note: Option<String>,
    order_reference: Option<&'a str>,
    mandate_reference: Option<&'a str>,
    /// The page loads itself again when the state is no longer this.
    live: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Icon {
    Success,
    Failed,
    Waiting,
    Neutral,
}

/// What a state says: how it looks, its heading, its sentences, and where it leaves to.
struct Content<'a> {
    icon: Icon,
    title: &'static str,
    lines: Vec<&'static str>,
    leave: Option<&'a str>,
    /// Leaves by itself.
    departs: bool,
}

pub(super) fn page(c: &Checkout<'_>) -> Page {
    let mut frame = Frame::new(c, None);
    let m = frame.m;
    let waits = matches!(c.state, State::Processing);
    frame.script = waits;
    frame.reload_after = waits.then_some(RELOAD_AFTER_SECONDS);
    let summary = Summary::new(c);
    let values: &[(&str, &str)] = &[("merchant", merchant(c, m)), ("amount", &summary.total)];

    let content = content(c, m);
    let leave = content.leave.and_then(|url| ReturnUrl::parse_leaving_after(url, LEAVE_AFTER_SECONDS));
    // The departure is announced only when the header that causes it is sent.
    let departs = leave.as_ref().filter(|url| content.departs && url.refresh.is_some());
    let note = match (departs, &leave) {
        (Some(url), _) => Some(rich::sentence(m.leaving, &[("host", &url.host)])),
        (None, None) if content.departs => Some(rich::sentence(m.close_page, &[])),
        _ => None,
    };
    let refresh = departs.and_then(|url| url.refresh.clone());
    let action = match c.state {
        State::Challenge { href } => {
            own_path(href).map(|href| (href.to_owned(), rich::sentence(m.proceed, &[])))
        }
        State::Processing => Some((frame.here.clone(), rich::sentence(m.check_again, &[]))),
        _ => leave.map(|url| (url.href, rich::sentence(m.back_to, values))),
    };
    let html = render(&ResultPage {
        icon: content.icon,
        title: content.title,
        pay_to: rich::sentence(m.pay_to, values),
        lines: content.lines.into_iter().map(|line| rich::sentence(line, values)).collect(),
        action,
        note,
        order_reference: c.order_reference.map(str::trim).filter(|text| !text.is_empty()),
        mandate_reference: match c.state {
            State::Submitted { mandate_reference } => mandate_reference,
            _ => None,
        },
        live: waits.then(|| c.state.word()),
        total: summary.total,
        frame,
    });
    Page { html, refresh }
}

/// Leaves to the address that the merchant named for this result, else to where payers who leave go.
fn content<'a>(c: &Checkout<'a>, m: &'static Messages) -> Content<'a> {
    let leave = c.leave;
    let (icon, title, lines, to, departs) = match c.state {
        State::Open(_) | State::Processing => {
            (Icon::Waiting, m.checking_title, vec![m.checking_text], None, false)
        }
        State::Challenge { .. } => (Icon::Neutral, m.bank_title, vec![m.bank_text], None, false),
        State::Submitted { .. } => {
            (Icon::Success, m.submitted_title, vec![m.submitted_text], leave.pending, true)
        }
        State::Awaited => (Icon::Waiting, m.awaited_title, vec![m.awaited_text], leave.pending, false),
        // It may take them again, so the shop is not told that this one failed.
        State::Unavailable => {
            (Icon::Neutral, m.unavailable_title, vec![m.unavailable_text], leave.back, false)
        }
        State::Succeeded => (Icon::Success, m.paid_title, vec![m.paid_text], leave.success, true),
        State::AlreadyPaid => (Icon::Success, m.already_title, vec![m.already_text], leave.success, false),
        State::Failed => (Icon::Failed, m.failed_title, vec![m.not_charged, m.failed_text], leave.fail, true),
        State::Expired => {
            (Icon::Neutral, m.expired_title, vec![m.not_charged, m.expired_text], leave.fail, true)
        }
        State::Canceled => {
            (Icon::Neutral, m.canceled_title, vec![m.not_charged], leave.fail.or(leave.back), true)
        }
    };
    Content { icon, title, lines, leave: to.or(leave.back), departs }
}

/// A path of our own origin; two slashes would name another.
fn own_path(href: &str) -> Option<&str> {
    let own = href.starts_with('/') && !href.starts_with("//") && !href.contains(['\\', '\t', '\n', '\r']);
    own.then_some(href)
}
