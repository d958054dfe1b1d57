//! How organisations leave; for global administrators.

use crate::error::ApiError;
use crate::render;
use crate::request::{Answer, Global};
use domain::id::MerchantId;
use domain::offboarding::{GRACE_DAYS, GRACE_DAYS_USUAL, NewOffboarding};

/// Characters of a reason.
const REASON_MAX: usize = 500;

pub(crate) async fn preview(request: Global) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    Answer::ok(render::offboarding_preview(&request.engine().preview_offboarding(id).await?))
}

pub(crate) async fn begin(request: Global) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    let mut reader = request.params.reader();
    let new = NewOffboarding {
        grace_days: reader.integer("graceDays", GRACE_DAYS.0, GRACE_DAYS.1)?.unwrap_or(GRACE_DAYS_USUAL),
        reason: reader.text("reason", REASON_MAX)?,
        accepts_balances: reader.boolean("acceptBalances")?.unwrap_or_default(),
    };
    let changed = request.engine().begin_offboarding(id, request.by(), new).await?;
    Answer::ok(render::organization(&changed))
}

/// The same without a word: nothing is deleted at once.
pub(crate) async fn delete(request: Global) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    let changed = request.engine().begin_offboarding(id, request.by(), NewOffboarding::default()).await?;
    Answer::ok(render::organization(&changed))
}

pub(crate) async fn restore(request: Global) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    Answer::ok(render::organization(&request.engine().restore_merchant(id, request.by()).await?))
}
