//! The same request twice has one effect and one answer (reliability.md 10).

use std::fmt;
use std::sync::Arc;

use time::OffsetDateTime;
use transom_storage::{Idempotency, IdempotencyKey, Reader, StoredAnswer, Tx};

use crate::DeskError;

/// An idempotency key with the answer that a success will be stored as.
#[derive(Clone)]
pub struct Once<T> {
    key: IdempotencyKey,
    answer: Arc<dyn Fn(&T) -> StoredAnswer + Send + Sync>,
}

impl<T> Once<T> {
    /// For a key; `answer` writes what the caller is told, so that a repeat is told the same.
    pub fn new(key: IdempotencyKey, answer: impl Fn(&T) -> StoredAnswer + Send + Sync + 'static) -> Self {
        Self { key, answer: Arc::new(answer) }
    }

    /// First in the transaction of the effect.
    ///
    /// # Errors
    /// [`DeskError::Replayed`] with the stored answer, [`DeskError::Invalid`] for the same key with another body,
    /// [`DeskError::Conflict`] while the first is still running.
    pub(crate) async fn begin(&self, tx: &Tx, now: OffsetDateTime) -> Result<(), DeskError> {
        answered(tx.begin_idempotent(&self.key, None, now).await?)
    }

    /// Before what happens outside the transaction, such as asking a platform: a repeat does none of it. Takes no key.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(crate) async fn look(&self, reader: &Reader) -> Result<(), DeskError> {
        answered(reader.known_request(&self.key).await?)
    }

    /// Last in the transaction of the effect.
    pub(crate) async fn finish(&self, tx: &Tx, value: &T) -> Result<(), DeskError> {
        Ok(tx.finish_idempotent(&self.key, &(self.answer)(value)).await?)
    }
}

/// The effect of a request, at most once: `effect` is not begun if the request was answered before, and its answer is stored
/// with it.
///
/// # Errors
/// As [`Once::begin`], and what the effect says; nothing of the key is kept then.
pub(crate) async fn only_once<T>(
    once: Option<&Once<T>>,
    tx: &Tx,
    now: OffsetDateTime,
    effect: impl Future<Output = Result<T, DeskError>>,
) -> Result<T, DeskError> {
    let Some(once) = once else { return effect.await };
    once.begin(tx, now).await?;
    let value = effect.await?;
    once.finish(tx, &value).await?;
    Ok(value)
}

fn answered(known: Idempotency) -> Result<(), DeskError> {
    match known {
        Idempotency::Fresh => Ok(()),
        Idempotency::Replay(answer) => Err(DeskError::Replayed(answer)),
        Idempotency::OtherBody => Err(DeskError::invalid(
            "idempotency_key_reused",
            "Idempotency-Key",
            "this key was used with another body: use a new key for a new request",
        )),
        Idempotency::Running => Err(DeskError::conflict(
            "idempotency_key_running",
            "the first request with this key is still running: ask again in a second",
        )),
    }
}

impl<T> fmt::Debug for Once<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Once").field(&self.key).finish()
    }
}
