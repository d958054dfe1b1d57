use super::{hex, instant};
use axum::body::Bytes;
use domain::audit::AuditEntry;
use domain::date::iso_micros;
use domain::export::SealedEntry;
use serde_json::{Value, json};
use web::csv::{Cell, Table};

/// An entry of the audit log.
pub(crate) fn audit_entry(e: &AuditEntry) -> Value {
    json!({
        "id": hex(e.id),
        "at": instant(e.created_at),
        "organizationId": e.merchant.map(hex),
        "mode": e.mode,
        "actor": e.actor,
        "action": e.kind,
        "target": e.subject,
        "details": e.detail,
        "requestId": e.request,
    })
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sealed_entry(row: &SealedEntry) -> Value {
    let mut shown = audit_entry(&row.entry);
    shown["seal"] = row.seal.as_ref().map_or(
        Value::Null,
        |seal| json!({ "seq": seal.seq, "previousHash": digits(&seal.previous), "hash": digits(&seal.hash) }),
    );
    shown
}

const COLUMNS: [&str; 12] = [
    "id",
    "at",
    "organizationId",
    "mode",
    "actor",
    "action",
    "target",
    "details",
    "requestId",
    "sealSeq",
    "sealPreviousHash",
    "sealHash",
];

/// Writes entries one by one.
pub(crate) enum AuditWriter {
    Csv(Box<Table>),
    /// One JSON object a line.
    Lines(Vec<u8>),
}

impl AuditWriter {
    pub fn csv() -> AuditWriter {
        AuditWriter::Csv(Box::new(Table::new(&COLUMNS)))
    }

    pub fn lines() -> AuditWriter {
        AuditWriter::Lines(Vec::new())
    }

    pub fn write(&mut self, row: &SealedEntry) {
        match self {
            AuditWriter::Lines(written) => {
                written.extend_from_slice(sealed_entry(row).to_string().as_bytes());
                written.push(b'\n');
            }
            AuditWriter::Csv(table) => {
                let (e, seal) = (&row.entry, row.seal.as_ref());
                let (id, at) = (hex(e.id), iso_micros(e.created_at));
                let organization = e.merchant.map(hex);
                let hashes = seal.map(|s| (digits(&s.previous), digits(&s.hash)));
                table.row(&[
                    Cell::from(&id),
                    Cell::from(&at),
                    organization.as_deref().into(),
                    e.mode.map(|mode| mode.as_str()).into(),
                    Cell::from(&e.actor),
                    e.kind.as_str().into(),
                    e.subject.as_deref().into(),
                    Cell::from(&e.detail),
                    e.request.as_deref().into(),
                    seal.map_or(Cell::Empty, |s| s.seq.into()),
                    hashes.as_ref().map(|(previous, _)| previous.as_str()).into(),
                    hashes.as_ref().map(|(_, hash)| hash.as_str()).into(),
                ]);
            }
        }
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Bytes {
        match self {
            AuditWriter::Csv(table) => table.take(),
            AuditWriter::Lines(written) => std::mem::take(written).into(),
        }
    }
}
