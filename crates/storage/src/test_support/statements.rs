//! How many statements something takes: for tests that lists do not ask once a row.

use std::cell::Cell;

tokio::task_local! {
    static STATEMENTS: Cell<u64>;
}

/// Runs a future, and says how many statements its own task sent to the database.
pub async fn counted<F: Future>(future: F) -> (F::Output, u64) {
    STATEMENTS
        .scope(Cell::new(0), async {
            let output = future.await;
            (output, STATEMENTS.with(Cell::get))
        })
        .await
}

pub(crate) fn count() {
    // Outside of `counted` nobody asks.
    let _ = STATEMENTS.try_with(|count| count.set(count.get() + 1));
}
