//! How organisations leave; for global administrators.

use crate::error::ApiError;
use crate::render;
use crate::request::{Answer, Global};
use domain::id::MerchantId;
use domain::offboarding::{GRACE_DAYS, GRACE_DAYS_USUAL};

/// Characters of a reason.
const REASON_MAX: usize = 500;

pub(crate) async fn preview(request: Global) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    Answer::ok(render::offboarding_preview(&request.engine().preview_offboarding(id).await?))
}

pub(crate) async fn begin(request: Global) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    let mut reader = request.params.reader();
    let days = reader.integer("graceDays", GRACE_DAYS.0, GRACE_DAYS.1)?.unwrap_or(GRACE_DAYS_USUAL);
    let reason = reader.text("reason", REASON_MAX)?;
    let changed = request.engine().begin_offboarding(id, request.by(), days, reason).await?;
    Answer::ok(render::organization(&changed))
}

/// The same without a word: nothing is deleted at once.
pub(crate) async fn delete(request: Global) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    let changed = request.engine().begin_offboarding(id, request.by(), GRACE_DAYS_USUAL, None).await?;
    Answer::ok(render::organization(&changed))
}

pub(crate) async fn restore(request: Global) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    Answer::ok(render::organization(&request.engine().restore_merchant(id, request.by()).await?))
}
