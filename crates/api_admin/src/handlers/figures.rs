use crate::error::ApiError;
use crate::input::{Side, currency, id, period, side};
use crate::render;
use crate::request::{Answer, Scoped};
use domain::date::Date;
use domain::figures::Grouping;
use domain::time::DAY;
use engine::figures::FiguresFilter;

/// Days shown when none are named, today included.
const DAYS_DEFAULT: i64 = 30;

pub(crate) async fn dashboard(request: Scoped) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let today = Date::of_instant(engine::wall_clock());
    let until = side(&mut reader, "to", Side::End)?.unwrap_or(today.end());
    let from = side(&mut reader, "from", Side::Start)?.unwrap_or(until.plus(-DAYS_DEFAULT * DAY));
    let by = reader.one_of("groupBy", &[Grouping::Day.as_str(), Grouping::Provider.as_str()])?;
    let filter = FiguresFilter {
        period: period(from, until)?,
        currency: currency(&mut reader, "currency")?,
        provider: id(&mut reader, "providerId")?,
        by: by.and_then(Grouping::parse).unwrap_or(Grouping::Day),
    };
    let report = request.engine().figures(request.scope, filter).await?;
    Answer::ok(render::figures(&filter, &report))
}
