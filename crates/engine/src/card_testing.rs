//! Telling a merchant that somebody seems to try stolen cards on its payment forms.

use crate::Engine;
use crate::audit::{Draft, GATEWAY};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::view::Snapshot;
use domain::audit::AuditKind;
use domain::card_testing::CardTestingAlert;
use domain::event::EventType;
use domain::id::TypedId;
use domain::scope::Scope;

impl Engine {
    /// Writes the event with its deliveries, and a row of the audit log, in one commit. In a task of its
    /// own: whoever tries cards could otherwise keep the merchant from being told by hanging up.
    pub async fn report_card_testing(&self, scope: Scope, alert: CardTestingAlert) -> Result<(), Error> {
        let engine = self.clone();
        self.finish(async move {
            let inner = engine.clone();
            engine.store.write(move |tx| inner.write_alert(tx, scope, alert)).await
        })
        .await
    }

    fn write_alert(
        &self,
        tx: &mut store::Tx<'_>,
        scope: Scope,
        alert: CardTestingAlert,
    ) -> Result<(), Error> {
        let CardTestingAlert { tries, declines, opened_at, open_until } = alert;
        let draft = Draft {
            merchant: Some(scope.merchant),
            mode: Some(scope.mode),
            kind: AuditKind::CardTestingSuspected,
            actor: GATEWAY.to_owned(),
            subject: Some(scope.merchant.to_string()),
            request: None,
            detail: format!(
                "{declines} of the latest {tries} tries of payers were declined; payers are held up until unix second {}",
                open_until.secs()
            ),
            at: opened_at,
        };
        self.write_audit(tx, draft)?;
        let news = [News::new(EventType::AccountCardTestingSuspected, scope.merchant.core())];
        let snapshot = Snapshot { alert: Some(alert), ..Snapshot::default() };
        self.emit(tx, scope, &Cause::default(), opened_at, snapshot, &news)
    }
}
