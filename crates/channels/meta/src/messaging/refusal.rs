//! The codes of the Send API that mean the same for Pages and for Instagram accounts (messenger.md 3, instagram.md 3).

use transom_channel::SendError;

use crate::Refusal;

const MINUTE_MS: u64 = 60_000;
/// No wait is longer, in milliseconds (reliability.md 5).
const LONGEST_WAIT_MS: u64 = 60 * MINUTE_MS;

/// What was sent, as far as a refusal's meaning depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct About {
    /// Which attempt it was, from 1; 0 where nothing was sent.
    pub attempt: u32,
    /// The one message to whoever commented.
    pub private_reply: bool,
}

impl About {
    /// Whether a refusal of this sort is worth one more attempt.
    pub fn is_first(self) -> bool {
        self.attempt <= 1
    }
}

/// The meaning of a refusal, as far as both platforms agree on it; `None` for one that neither table has.
///
/// Decided by code and subcode: HTTP statuses differ between hosts for the same refusal. Some subcodes were also seen as codes.
pub fn classify(refusal: &Refusal, about: About) -> Option<SendError> {
    let report = refusal.report();
    let sub = refusal.error.subcode;
    Some(match (refusal.error.code, sub.unwrap_or(refusal.error.code)) {
        (10, 2_018_278 | 2_018_065 | 2_534_022) => SendError::WindowClosed { report },
        (10, 10) if says_outside_window(&refusal.error.message) => SendError::WindowClosed { report },
        (10, 10) => SendError::AuthFailed { report },

        // Somebody who blocked us, left or is not there: until they write again.
        (551, _) | (_, 1_545_041 | 2_018_108) | (100, 2_018_001) => SendError::Unreachable { report },

        // A file that could not be fetched, or took too long: once more, and then it is the file.
        (100, 2_018_008 | 2_018_294) | (_, 2_018_074) if about.is_first() => SendError::Temporary { report },
        (100, 2_018_008 | 2_018_294 | 2_018_047 | 2_018_109) | (_, 2_018_074) => SendError::ContentRefused { report },

        // Another app has the thread: it was asked for, and the next attempt tells.
        (_, 2_018_300 | 2_018_171 | 2_018_234) if about.is_first() => SendError::Temporary { report },
        (_, 2_018_300 | 2_018_171 | 2_018_234 | 9_000_001) => SendError::ContentRefused { report },

        // About profiles alone.
        (_, 2_018_218) => SendError::Invalid { report },
        (_, 2_018_247) => SendError::AuthFailed { report },

        // "Unknown": once more, if anything at all is known of it.
        (1, 1_357_046) => SendError::OutcomeUnknown { detail: report.to_string() },
        (1, _) if refusal.is_breakdown() => SendError::OutcomeUnknown { detail: report.to_string() },
        (1, _) if about.is_first() => SendError::Temporary { report },
        (1, _) => SendError::Invalid { report },

        (4 | 32 | 613 | 80_000..=80_099, _) => {
            let wait = refusal.wish_ms.unwrap_or_else(|| backoff_ms(about.attempt));
            SendError::RateLimited { retry_after_ms: Some(wait), report }
        }
        _ => return crate::classify(refusal),
    })
}

/// Whether a refusal is about a thread that another app has.
pub fn is_thread_control(refusal: &Refusal) -> bool {
    let named = |number: i64| refusal.error.code == number || refusal.error.subcode == Some(number);
    [2_018_300, 2_534_037].into_iter().any(named)
}

/// The window without its subcode (instagram.md 3): "(#10) This message is sent outside of allowed window."
fn says_outside_window(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("outside") && message.contains("window")
}

/// From a minute, doubling (messenger.md 3); who schedules adds the chance.
fn backoff_ms(attempt: u32) -> u64 {
    let doublings = attempt.saturating_sub(1).min(10);
    MINUTE_MS.saturating_mul(1 << doublings).min(LONGEST_WAIT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GraphError;
    use rstest::rstest;

    #[rstest]
    #[case(0, 60_000)]
    #[case(1, 60_000)]
    #[case(2, 120_000)]
    #[case(5, 960_000)]
    #[case(7, 3_600_000)]
    #[case(u32::MAX, 3_600_000)]
    fn limits_back_off_from_a_minute(#[case] attempt: u32, #[case] wait: u64) {
        let error = GraphError { code: 613, message: "words".into(), ..GraphError::default() };
        let refusal = Refusal { error, status: Some(400), wish_ms: None };
        let about = About { attempt, ..About::default() };
        assert!(
            matches!(classify(&refusal, about), Some(SendError::RateLimited { retry_after_ms: Some(ms), .. }) if ms == wait)
        );
        let wished = Refusal { wish_ms: Some(7_000), ..refusal };
        assert!(matches!(classify(&wished, about), Some(SendError::RateLimited { retry_after_ms: Some(7_000), .. })));
    }
}
