use crate::error::ApiError;
use crate::input::{Side, side};
use crate::render::{self, AuditWriter};
use crate::request::{Answer, Common, Global, Scoped};
use domain::audit::AuditKind;
use domain::scope::Scope;
use engine::exports::AuditExport;
use engine::{AuditQuery, By};
use web::stream::{self, Download, Pieces};

/// Characters of an actor: ids and addresses.
const ACTOR_MAX: usize = 100;

fn asked(request: &Common, scope: Option<Scope>) -> Result<AuditQuery, ApiError> {
    let mut reader = request.params.reader();
    let kinds: Vec<&str> = AuditKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let asked = AuditQuery {
        scope,
        kind: reader.one_of("action", &kinds)?.and_then(AuditKind::parse),
        actor: reader.text("actor", ACTOR_MAX)?,
        from: side(&mut reader, "from", Side::Start)?,
        until: side(&mut reader, "to", Side::End)?,
    };
    if let (Some(from), Some(until)) = (asked.from, asked.until)
        && until <= from
    {
        return Err(ApiError::invalid("period_invalid", "to lies before from.").field("to"));
    }
    Ok(asked)
}

async fn page(request: &Common, scope: Option<Scope>) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let found = request.engine().audit_log(asked(request, scope)?, page.query()).await?;
    let rows = found.data.iter().map(render::audit_entry).collect();
    Answer::ok(page.show("auditLogs", rows, found.total))
}

async fn download(request: &Common, scope: Option<Scope>, by: By) -> Result<Answer, ApiError> {
    let format = request.params.reader().one_of("format", &["csv", "jsonl"])?;
    let mut export = request.engine().export_audit(by, asked(request, scope)?).await?;
    let csv = format != Some("jsonl");
    let body = stream::body(move |mut pieces| async move {
        let writer = if csv { AuditWriter::csv() } else { AuditWriter::lines() };
        let whole = write(&mut export, writer, &mut pieces).await;
        // As with exports of data.
        drop(export);
        if whole {
            pieces.end();
        }
    });
    let (name, kind) =
        if csv { ("audit-log.csv", stream::CSV) } else { ("audit-log.jsonl", "application/x-ndjson") };
    Ok(Answer::Download(Download { name: name.to_owned(), kind, body }))
}

/// Writes all entries; false when it was broken off.
async fn write(export: &mut AuditExport, mut writer: AuditWriter, pieces: &mut Pieces) -> bool {
    loop {
        match export.next_page().await {
            Ok(Some(rows)) => rows.iter().for_each(|row| writer.write(row)),
            Ok(None) => return pieces.send(writer.take()).await.is_ok(),
            Err(error) => {
                tracing::warn!(?error, "an export of the audit log was broken off");
                return false;
            }
        }
        if pieces.send(writer.take()).await.is_err() {
            return false;
        }
    }
}

pub(crate) async fn list(request: Scoped) -> Result<Answer, ApiError> {
    page(&request.common, Some(request.scope)).await
}

pub(crate) async fn export(request: Scoped) -> Result<Answer, ApiError> {
    download(&request.common, Some(request.scope), request.by()).await
}

pub(crate) async fn list_all(request: Global) -> Result<Answer, ApiError> {
    page(&request.common, None).await
}

pub(crate) async fn export_all(request: Global) -> Result<Answer, ApiError> {
    download(&request.common, None, request.by()).await
}
