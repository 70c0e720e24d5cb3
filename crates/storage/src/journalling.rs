//! Journalling on PostgreSQL: calls that come while others are being written leave together, in one statement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::sync::oneshot;

use crate::StorageError;
use crate::query::{CallRow, insert_calls, run_of};

/// How many statements are under way at once: while one waits for its commit, the next is filled.
const AT_ONCE: usize = 2;
/// How many calls a statement takes at most: it ends long before the statement timeout.
const LARGEST: usize = 64;

/// The calls that wait for a statement.
#[derive(Debug, Clone)]
pub(crate) struct Journalling {
    pool: DatabaseConnection,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    writers: usize,
}

#[derive(Debug)]
struct Waiting {
    row: CallRow,
    answer: oneshot::Sender<Result<(), StorageError>>,
}

impl Journalling {
    pub(crate) fn on(pool: DatabaseConnection) -> Self {
        Self { pool, queue: Arc::default() }
    }

    /// Journals a call: committed when this returns.
    pub(crate) async fn append(&self, row: CallRow) -> Result<(), StorageError> {
        let (answer, answered) = oneshot::channel();
        let one_more = {
            let mut queue = self.queue();
            queue.waiting.push(Waiting { row, answer });
            let one_more = queue.writers < AT_ONCE;
            queue.writers += usize::from(one_more);
            one_more
        };
        if one_more {
            // A task of its own: a caller that goes away takes nobody's call along.
            tokio::spawn(self.clone().write());
        }
        answered.await.map_err(|_| StorageError::Unavailable("the service is stopping".to_owned()))?
    }

    /// Writes until nothing waits.
    async fn write(self) {
        while let Some(group) = self.next() {
            let rows = group.iter().map(|waiting| &waiting.row);
            match self.pool.execute_raw(insert_calls(&self.pool, rows)).await.map_err(StorageError::from) {
                // One of them can't be stored: each by itself shows which.
                Err(error) if group.len() > 1 && !error.is_retryable() => {
                    for Waiting { row, answer } in group {
                        let alone = self.pool.execute_raw(insert_calls(&self.pool, [&row])).await;
                        let _ = answer.send(alone.map(drop).map_err(StorageError::from));
                    }
                }
                Err(error) => {
                    for waiting in group {
                        let _ = waiting.answer.send(Err(error.again()));
                    }
                }
                Ok(_) => {
                    for waiting in group {
                        let _ = waiting.answer.send(Ok(()));
                    }
                }
            }
        }
    }

    /// The next group. With none the writer is done, which is noted under the same lock that callers look under.
    fn next(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue();
        if queue.waiting.is_empty() {
            queue.writers -= 1;
            return None;
        }
        // Few lengths, so that few statements are prepared.
        let count = run_of(queue.waiting.len().min(LARGEST)).unwrap_or(1);
        Some(queue.waiting.drain(..count).collect())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
