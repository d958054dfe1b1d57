use crate::error::ApiError;
use crate::request::{Answer, Global};
use domain::system_settings::{
    FRESH_LOGIN_MINUTES, INVITATION_HOURS, KeySettings, OVERLAP_HOURS, SystemGroup, UserSettings,
};
use serde_json::{Value, json};

fn users(settings: &UserSettings) -> Value {
    json!({
        "group": "users",
        "invitationHours": settings.invitation_hours,
        "freshLoginMinutes": settings.fresh_login_minutes,
    })
}

fn api_keys(settings: &KeySettings) -> Value {
    json!({
        "group": "api_keys",
        "liveNeedAddresses": settings.live_need_addresses,
        "overlapHoursMax": settings.overlap_hours_max,
    })
}

pub(crate) async fn get(request: Global) -> Result<Answer, ApiError> {
    let all = request.engine().system_settings().await?;
    Answer::ok(json!({ "settings": [users(&all.users), api_keys(&all.api_keys)] }))
}

/// What the body does not name stays as it is.
pub(crate) async fn update(request: Global) -> Result<Answer, ApiError> {
    let text = request.path.first().map_or("", String::as_str);
    let group = SystemGroup::parse(text).ok_or_else(|| {
        let known: Vec<&str> = SystemGroup::ALL.iter().map(|g| g.as_str()).collect();
        let mut error = ApiError::not_found("group of settings", text);
        error.message = format!("There is no such group of settings. There are: {}.", known.join(", "));
        error
    })?;
    let mut reader = request.params.reader();
    let changed = match group {
        SystemGroup::Users => {
            let hours = reader.integer("invitationHours", INVITATION_HOURS.0, INVITATION_HOURS.1)?;
            let minutes =
                reader.integer("freshLoginMinutes", FRESH_LOGIN_MINUTES.0, FRESH_LOGIN_MINUTES.1)?;
            let change = move |s: &mut UserSettings| {
                s.invitation_hours = hours.unwrap_or(s.invitation_hours);
                s.fresh_login_minutes = minutes.unwrap_or(s.fresh_login_minutes);
            };
            users(&request.engine().change_user_settings(request.by(), change).await?)
        }
        SystemGroup::ApiKeys => {
            let needed = reader.boolean("liveNeedAddresses")?;
            let hours = reader.integer("overlapHoursMax", OVERLAP_HOURS.0, OVERLAP_HOURS.1)?;
            let change = move |s: &mut KeySettings| {
                s.live_need_addresses = needed.unwrap_or(s.live_need_addresses);
                s.overlap_hours_max = hours.unwrap_or(s.overlap_hours_max);
            };
            api_keys(&request.engine().change_key_settings(request.by(), change).await?)
        }
    };
    Answer::ok(changed)
}
