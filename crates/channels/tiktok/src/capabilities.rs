//! What TikTok carries, with the source of each number (sections of the fact sheet).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{AddressRule, Capabilities, ChoiceRule, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit};
use transom_domain::MediaKind;

/// The conversation's id: the address that messages go to (5).
pub(crate) const CONVERSATION_ID: &str = "conversation_id";
/// The customer's id, the same in all events of one app (5).
pub(crate) const USER_ID: &str = "user_id";

/// 2.3.
const TEXT: TextLimit = TextLimit::Scalars(6_000);
/// The only line of a question card (2.3).
const CARD_TITLE: TextLimit = TextLimit::Scalars(40);

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        text: TEXT,
        // "One request = text or one image, never both" (2.2).
        caption: None,
        media: vec![MediaRule {
            kind: MediaKind::Image,
            mimes: vec!["image/jpeg", "image/png"],
            max_bytes: 3 * 1024 * 1024,
            max_bytes_by_url: None,
            caption: false,
        }],
        files_per_part: 1,
        choices: Some(ChoiceRule {
            max_buttons: 3,
            button_title: TextLimit::Scalars(20),
            button_id: TextLimit::Scalars(40),
            max_rows: 0,
            text: CARD_TITLE,
        }),
        location: false,
        contacts: false,
        reactions: false,
        // "Quoting only with TEXT" (2.2).
        quotes: true,
        threads: false,
        shows_sender: false,
        // No delivered and no failed events (4.3).
        receipts: Receipts { delivered: false, read: true, failed: false },
        settling: Settling { dedupes_for: None, correlates: false, wait: Duration::MINUTE },
        pacing: Pacing {
            // Nothing is documented; 100 to 200 conversations a day are reported (1.4), so speed is never what is missing.
            account: Rate { burst: at_once(10), each: Duration::milliseconds(200) },
            sound_and_film: None,
            recipient: Rate { burst: at_once(3), each: Duration::SECOND },
            concurrency: at_once(4),
        },
        addresses: vec![
            AddressRule { kind: CONVERSATION_ID, can_start: false, from: None },
            AddressRule { kind: USER_ID, can_start: false, from: None },
        ],
    }
}

fn at_once(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}
