//! What a message would become, and whether it may be sent, before anybody sends it.

use std::convert::Infallible;

use transom_channel::PlannedPart;
use transom_storage::StorageError;

use crate::authorise::{Action, Caller, authorise};
use crate::send::{Draft, Hand, Job, Target};
use crate::{Desk, DeskError, Verdict};

/// A message as it would be sent now.
#[derive(Debug)]
pub struct Preview {
    /// One request to the platform each.
    pub parts: Vec<PlannedPart>,
    /// What all of them take from a quota that counts requests.
    pub cost: u32,
    /// Whether it may be sent, and by which right.
    pub verdict: Verdict,
}

/// Why the rehearsal ended: it always does, so that nothing of it is stored.
enum End {
    Seen(Box<Preview>),
    Failed(DeskError),
}

impl From<StorageError> for End {
    fn from(error: StorageError) -> Self {
        End::Failed(error.into())
    }
}

/// Goes the way of [`send`](crate::send()) up to the verdict, and takes back what that made: nothing is stored.
///
/// # Errors
/// As [`send`](crate::send()), but for [`DeskError::NotPermitted`]: that is part of the answer.
pub async fn preview(desk: &Desk, caller: &Caller, target: Target, draft: Draft) -> Result<Preview, DeskError> {
    authorise(caller, Action::SendMessages)?;
    let job = Job::of(desk, &caller.scope, Hand::of(&caller.agent), target, draft, None).await?;
    let rehearsed = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let job = job.clone();
            Box::pin(async move {
                let ready = job.ready(tx).await.map_err(End::Failed)?;
                let preview = Preview { parts: ready.plan, cost: ready.cost, verdict: ready.verdict };
                Err::<Infallible, _>(End::Seen(Box::new(preview)))
            })
        })
        .await;
    match rehearsed {
        Ok(never) => match never {},
        Err(End::Seen(preview)) => Ok(*preview),
        Err(End::Failed(error)) => Err(error),
    }
}
