//! A closure on its way to a database thread, and the way back of its result.

use crate::error::StoreError;
use crate::tx::Tx;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

/// What a database thread needs to know of a closure.
pub(crate) trait Job: Send {
    /// Runs the closure; true when its changes are to be kept. May be called again after a rollback.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers the caller; an `Err` replaces a result whose commit failed.
    fn finish(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Typed<T, E, F> {
    work: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Job for Typed<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        // A panic in one closure must not take down the thread that serves all of them.
        let result = catch_unwind(AssertUnwindSafe(|| (self.work)(tx)))
            .unwrap_or_else(|_| Err(StoreError::Defect("a transaction closure panicked".to_owned()).into()));
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Typed { result, reply, .. } = *self;
        let answer = match (result, outcome) {
            // The closure's own refusal stands, whatever became of the rest of the batch.
            (Some(Err(refused)), _) => Err(refused),
            (_, Err(failed)) => Err(failed.into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Defect("a closure was not run".to_owned()).into()),
        };
        // The caller may have gone away; its work is done all the same.
        let _ = reply.send(answer);
    }
}

pub(crate) fn job<T, E, F>(work: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
{
    let (reply, receiver) = oneshot::channel();
    (Box::new(Typed { work, result: None, reply }), receiver)
}
