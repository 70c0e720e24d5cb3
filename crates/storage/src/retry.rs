//! How often a transaction runs again after it met another one.

use std::time::Duration;

use rand::RngExt;

/// At most five more tries, 2 to 64 ms apart, with jitter so that the same two do not meet again.
pub(crate) struct Tries {
    code: &'static str,
    made: u32,
}

impl Tries {
    const MOST: u32 = 5;

    pub(crate) fn new(code: &'static str) -> Self {
        Self { code, made: 0 }
    }

    /// Waits and says yes, or says no.
    pub(crate) async fn again(&mut self) -> bool {
        if self.made == Self::MOST {
            return false;
        }
        self.made += 1;
        metrics::counter!("transom_db_retries_total", "code" => self.code).increment(1);
        let most = 2_u64 << self.made;
        let pause = rand::rng().random_range(most / 2..=most);
        tokio::time::sleep(Duration::from_millis(pause)).await;
        true
    }
}
