//! The columns of exports. What they mean is told in docs/figures-and-exports.md; whoever adds one adds it at the
//! end, since programs read them by their place.

use super::checkouts::status;
use super::{currency, hex};
use domain::currency::Currency;
use domain::customer::Address;
use domain::date::iso_micros;
use domain::export::{CheckoutRow, ClientRow, ExportKind, ExportRows, RefundRow, TransactionRow};
use domain::id::ProviderId;
use domain::money::format_minor;
use domain::payment_method::MethodFacts;
use domain::refund::Refund;
use domain::site_transaction;
use domain::time::Timestamp;
use web::csv::{Cell, Table};

const TRANSACTIONS: &[&str] = &[
    "id",
    "createdAt",
    "checkoutId",
    "siteId",
    "site",
    "clientId",
    "clientEmail",
    "providerId",
    "provider",
    "method",
    "statusCode",
    "status",
    "currency",
    "amount",
    "amountDecimal",
    "captured",
    "capturedDecimal",
    "refunded",
    "refundedDecimal",
    "fee",
    "feeDecimal",
    "failureCode",
    "failureMessage",
    "externalReference",
    "invoiceNumber",
    "cameBy",
    "reference",
    "paidAt",
];

const CLIENTS: &[&str] = &[
    "id",
    "createdAt",
    "email",
    "name",
    "phone",
    "description",
    "line1",
    "line2",
    "city",
    "state",
    "postalCode",
    "country",
    "firstName",
    "lastName",
    "company",
    "vatId",
];

const CHECKOUTS: &[&str] = &[
    "id",
    "createdAt",
    "expiresAt",
    "siteId",
    "site",
    "clientId",
    "email",
    "status",
    "currency",
    "amount",
    "amountDecimal",
    "externalReference",
    "invoiceNumber",
];

const REFUNDS: &[&str] = &[
    "id",
    "createdAt",
    "transactionId",
    "checkoutId",
    "providerId",
    "provider",
    "status",
    "currency",
    "amount",
    "amountDecimal",
    "reason",
    "failureReason",
    "externalReference",
];

pub(crate) const fn columns(kind: ExportKind) -> &'static [&'static str] {
    match kind {
        ExportKind::Transactions => TRANSACTIONS,
        ExportKind::Clients => CLIENTS,
        ExportKind::Checkouts => CHECKOUTS,
        ExportKind::Refunds => REFUNDS,
    }
}

/// A table with its header.
pub(crate) fn begin(kind: ExportKind) -> Table {
    Table::new(columns(kind))
}

pub(crate) fn write(table: &mut Table, rows: &ExportRows) {
    match rows {
        ExportRows::Transactions(rows) => rows.iter().for_each(|row| transaction(table, row)),
        ExportRows::Clients(rows) => rows.iter().for_each(|row| client(table, row)),
        ExportRows::Checkouts(rows) => rows.iter().for_each(|row| checkout(table, row)),
        ExportRows::Refunds(rows) => rows.iter().for_each(|row| refund(table, row)),
    }
}

fn at(instant: Timestamp) -> String {
    iso_micros(instant)
}

/// The provider's id and name; none for what went past us.
fn provider(id: ProviderId, name: &str, off_platform: bool) -> [Option<String>; 2] {
    if off_platform { [None, None] } else { [Some(hex(id)), Some(name.to_owned())] }
}
fn decimals<const N: usize>(amounts: [i64; N], of: Currency) -> [String; N] {
    amounts.map(|amount| format_minor(amount, of))
}

fn transaction(table: &mut Table, row: &TransactionRow) {
    let a = &row.attempt;
    let status = site_transaction::status(a);
    let amounts = [a.amount, a.amount_captured, a.amount_refunded, row.fee];
    let [amount, captured, refunded, fee] = decimals(amounts, a.currency);
    let decline = a.decline.as_ref();
    let past_us = match &a.method {
        MethodFacts::OffPlatform(facts) => Some(facts),
        MethodFacts::Card(_) | MethodFacts::SepaDebit(_) | MethodFacts::Paypal(_) => None,
    };
    let paid_at = past_us.and_then(|facts| facts.paid_at).map(at);
    let [provider_id, provider_name] = provider(a.provider, &row.provider_name, a.is_off_platform());
    table.row(&[
        Cell::from(&hex(a.id)),
        Cell::from(&at(a.created_at)),
        Cell::from(&hex(a.payment)),
        Cell::from(&hex(row.storefront)),
        Cell::from(&row.storefront_name),
        row.customer.map(hex).as_deref().into(),
        row.customer_email.as_deref().into(),
        provider_id.as_deref().into(),
        provider_name.as_deref().into(),
        a.method.kind().as_str().into(),
        status.code().into(),
        status.as_str().into(),
        currency(a.currency).into(),
        a.amount.into(),
        Cell::from(&amount),
        a.amount_captured.into(),
        Cell::from(&captured),
        a.amount_refunded.into(),
        Cell::from(&refunded),
        row.fee.into(),
        Cell::from(&fee),
        decline.map(|d| d.code.as_str()).into(),
        decline.map(|d| d.message.as_str()).into(),
        row.external_reference.as_deref().into(),
        row.invoice_number.as_deref().into(),
        past_us.map(|facts| facts.kind.as_str()).into(),
        past_us.and_then(|facts| facts.reference.as_deref()).into(),
        paid_at.as_deref().into(),
    ]);
}

/// The address of a customer, or where the client is billed if it has one of those.
fn address_of(row: &ClientRow) -> Address {
    match &row.facts.billing {
        Some(party) => Address {
            line1: party.address1.clone(),
            line2: party.address2.clone(),
            city: party.city.clone(),
            state: party.state.clone(),
            postal_code: party.postcode.clone(),
            country: party.country.clone(),
        },
        None => row.customer.address.clone().unwrap_or_default(),
    }
}

fn client(table: &mut Table, row: &ClientRow) {
    let ClientRow { customer: c, facts } = row;
    let address = address_of(row);
    table.row(&[
        Cell::from(&hex(c.id)),
        Cell::from(&at(c.created_at)),
        c.email.as_deref().into(),
        c.name.as_deref().into(),
        c.phone.as_deref().into(),
        c.description.as_deref().into(),
        address.line1.as_deref().into(),
        address.line2.as_deref().into(),
        address.city.as_deref().into(),
        address.state.as_deref().into(),
        address.postal_code.as_deref().into(),
        address.country.as_deref().into(),
        facts.first_name.as_deref().into(),
        facts.last_name.as_deref().into(),
        facts.company.as_deref().into(),
        facts.vat_id.as_deref().into(),
    ]);
}

fn checkout(table: &mut Table, row: &CheckoutRow) {
    let c = &row.checkout;
    let [amount] = decimals([row.amount], row.currency);
    table.row(&[
        Cell::from(&hex(c.payment)),
        Cell::from(&at(c.created_at)),
        Cell::from(&at(c.expires_at)),
        Cell::from(&hex(c.storefront)),
        Cell::from(&row.storefront_name),
        c.customer.map(hex).as_deref().into(),
        c.details.payer_email.as_deref().into(),
        status(row.status, row.cancellation_reason).into(),
        currency(row.currency).into(),
        row.amount.into(),
        Cell::from(&amount),
        row.external_reference.as_deref().into(),
        row.invoice_number.as_deref().into(),
    ]);
}

/// A shop's own words for a refund.
fn own_reason(refund: &Refund) -> Option<&str> {
    refund.metadata.iter().find(|(key, _)| key == "reason").map(|(_, reason)| reason.as_str())
}

fn refund(table: &mut Table, row: &RefundRow) {
    let r = &row.refund;
    let [amount] = decimals([r.amount], r.currency);
    let [provider_id, provider_name] = provider(row.provider, &row.provider_name, r.off_platform);
    table.row(&[
        Cell::from(&hex(r.id)),
        Cell::from(&at(r.created_at)),
        Cell::from(&hex(r.attempt)),
        Cell::from(&hex(r.payment)),
        provider_id.as_deref().into(),
        provider_name.as_deref().into(),
        r.status.as_str().into(),
        currency(r.currency).into(),
        r.amount.into(),
        Cell::from(&amount),
        // The Admin API keeps a shop's own words for it among the metadata.
        r.reason.map(|reason| reason.as_str()).or_else(|| own_reason(r)).into(),
        r.failure_reason.as_deref().into(),
        row.external_reference.as_deref().into(),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_name_every_column_in_its_place() {
        let document = include_str!("../../../../docs/figures-and-exports.md");
        for kind in ExportKind::ALL {
            let line = format!("`{}`", columns(*kind).join("`, `"));
            let flat = document.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.contains(&line), "{kind}: {line}");
        }
    }
}
