use crate::error::ApiError;
use crate::input::{Side, period, required, side};
use crate::render::export_table;
use crate::request::{Answer, Scoped};
use domain::export::ExportKind;
use engine::exports::Export;
use web::stream::{self, Download, Pieces};

/// Only CSV for now; the field says so to whoever asks for another.
const FORMATS: [&str; 1] = ["csv"];

pub(crate) async fn export(request: Scoped) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let kinds: Vec<&str> = ExportKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = required(reader.one_of("entityType", &kinds)?.and_then(ExportKind::parse), "entityType")?;
    reader.one_of("format", &FORMATS)?;
    let from = required(side(&mut reader, "from", Side::Start)?, "from")?;
    let until = required(side(&mut reader, "to", Side::End)?, "to")?;
    let period = period(from, until)?;
    let mut export = request.engine().export(request.scope, request.by(), kind, period).await?;
    let name = format!("{kind}-{}-{}.csv", period.first_day(), period.last_day());
    let body = stream::body(move |mut pieces| async move {
        let whole = write(&mut export, &mut pieces).await;
        // Its place is free before the receiver can know that it has everything, and ask for the next one.
        drop(export);
        if whole {
            pieces.end();
        }
    });
    Ok(Answer::Download(Download { name, kind: stream::CSV, body }))
}

/// Writes all rows; false when it was broken off. The connection breaks then, so that nobody takes what came for
/// everything.
async fn write(export: &mut Export, pieces: &mut Pieces) -> bool {
    let kind = export.kind();
    let mut table = export_table::begin(kind);
    loop {
        match export.next_page().await {
            Ok(Some(rows)) => export_table::write(&mut table, &rows),
            Ok(None) => return pieces.send(table.take()).await.is_ok(),
            Err(error) => {
                tracing::warn!(?error, %kind, "an export was broken off");
                return false;
            }
        }
        if pieces.send(table.take()).await.is_err() {
            return false;
        }
    }
}
