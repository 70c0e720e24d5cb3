//! What a Page can carry (messenger.md 2.5).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{AddressRule, Capabilities, ChoiceRule, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit};
use transom_domain::MediaKind;

/// The kind of the address by which a Page knows a person: the page-scoped id.
pub(crate) const PSID: &str = "psid";

const MIB: u64 = 1_024 * 1_024;

/// What a Page can carry. Whether reactions go out is unsure, and a setting (messenger.md 2.3).
pub(crate) fn capabilities(reactions: bool) -> Capabilities {
    // "Less than 2,000 characters"; Unicode scalar values are taken for that.
    let text = TextLimit::Scalars(1_999);
    Capabilities {
        text,
        // Words are a message of their own (2.2).
        caption: None,
        media: media(),
        // Several pictures in one message are unsure (2.2).
        files_per_part: 1,
        // Thirteen quick replies under any text; up to three of them stay as buttons, where the text has at most 640.
        choices: Some(ChoiceRule {
            max_buttons: 13,
            button_title: TextLimit::Scalars(20),
            button_id: TextLimit::Scalars(1_000),
            max_rows: 0,
            text,
        }),
        location: false,
        contacts: false,
        reactions,
        quotes: true,
        threads: false,
        shows_sender: false,
        // Watermarks; nothing fails after it was accepted (4.5).
        receipts: Receipts { delivered: true, read: true, failed: false },
        // No idempotency key; `metadata` comes back in the echo (2.4).
        settling: Settling { dedupes_for: None, correlates: true, wait: Duration::seconds(60) },
        pacing: Pacing {
            // 300 a second; sound and films have 10 (2.5).
            account: Rate { burst: at_least_one(300), each: Duration::microseconds(3_334) },
            sound_and_film: Some(Rate { burst: at_least_one(10), each: Duration::milliseconds(100) }),
            // "Too many to one thread may throttle": no number is given, a person's pace is.
            recipient: Rate { burst: at_least_one(20), each: Duration::seconds(1) },
            concurrency: at_least_one(16),
        },
        addresses: vec![AddressRule { kind: PSID, can_start: false, from: None }],
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number - 1)
}

/// 25 MB each; a picture that the platform fetches has 8 (2.5). The sheet names families of types, and `file` is any.
fn media() -> Vec<MediaRule> {
    let rule = |kind, mime, max_bytes_by_url| MediaRule {
        kind,
        mimes: vec![mime],
        max_bytes: 25 * MIB,
        max_bytes_by_url,
        caption: false,
    };
    vec![
        rule(MediaKind::Image, "image/*", Some(8 * MIB)),
        rule(MediaKind::Video, "video/*", None),
        rule(MediaKind::Animation, "video/*", None),
        rule(MediaKind::Audio, "audio/*", None),
        rule(MediaKind::Voice, "audio/*", None),
        rule(MediaKind::Document, "*/*", None),
    ]
}
