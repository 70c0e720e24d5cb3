//! What a Viber bot carries, with the source of each number (sections of the fact sheet).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{AddressRule, Capabilities, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit};
use transom_domain::MediaKind;

/// The kind of the only address there is: a person's id for this bot (5).
pub(crate) const USER_ID: &str = "user_id";

/// 7000 characters (2.4). The unit is not documented: UTF-16 units are on the safe side.
pub(crate) const TEXT: TextLimit = TextLimit::Utf16(7_000);
/// A picture's words (2.4).
pub(crate) const CAPTION: TextLimit = TextLimit::Utf16(768);
/// `sender.name` (2.2).
pub(crate) const SENDER_NAME: TextLimit = TextLimit::Utf16(28);
/// A file's name (2.4).
pub(crate) const FILE_NAME: TextLimit = TextLimit::Utf16(256);
/// A card's name (2.4).
pub(crate) const CARD_NAME: TextLimit = TextLimit::Utf16(28);
/// A card's number (2.4).
pub(crate) const CARD_PHONE: TextLimit = TextLimit::Utf16(18);
/// The whole request (2.2), less what stands around the content: receiver, sender, picture.
pub(crate) const MAX_CONTENT_BYTES: usize = 30 * 1024 - 3 * 1024;

const MB: u64 = 1024 * 1024;
/// The largest picture that iPhones show; Android takes 3 MB (2.4).
const PICTURE: u64 = MB;
/// The largest film (2.4); the largest file that we fetch of a customer.
const VIDEO: u64 = 26 * MB;
/// The largest file (2.4).
pub(crate) const FILE: u64 = 50 * MB;

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        text: TEXT,
        caption: Some(CAPTION),
        media: media(),
        files_per_part: 1,
        // Keyboards stay under the chat and are no part of a message: out of scope.
        choices: None,
        location: true,
        contacts: true,
        reactions: false,
        quotes: false,
        threads: false,
        shows_sender: true,
        receipts: Receipts { delivered: true, read: true, failed: true },
        // "No client-side idempotency key exists" (2.3), and events name only Viber's own token.
        settling: Settling { dedupes_for: None, correlates: false, wait: Duration::MINUTE },
        pacing: Pacing {
            // No rate is documented for single messages: a tenth of the 500 broadcasts in 10 seconds (1.4).
            account: Rate { burst: at_once(50), each: Duration::milliseconds(20) },
            sound_and_film: None,
            // 100 an hour without a reply are the policy's; this only keeps a burst from looking like a flood.
            recipient: Rate { burst: at_once(20), each: Duration::SECOND },
            concurrency: at_once(16),
        },
        addresses: vec![AddressRule { kind: USER_ID, can_start: false, from: None }],
    }
}

fn at_once(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

/// Types and limits (2.4). There is no type for sound: it goes as a file.
fn media() -> Vec<MediaRule> {
    let rule = |kind, mimes: &[&'static str], max_bytes, caption| MediaRule {
        kind,
        mimes: mimes.to_vec(),
        max_bytes,
        max_bytes_by_url: None,
        caption,
    };
    vec![
        rule(MediaKind::Image, &["image/jpeg", "image/png", "image/gif"], PICTURE, true),
        rule(MediaKind::Video, &["video/mp4"], VIDEO, false),
        rule(MediaKind::Animation, &["video/mp4"], VIDEO, false),
        rule(MediaKind::Audio, &["audio/*"], FILE, false),
        rule(MediaKind::Voice, &["audio/*"], FILE, false),
        rule(MediaKind::Document, &["*/*"], FILE, false),
    ]
}
