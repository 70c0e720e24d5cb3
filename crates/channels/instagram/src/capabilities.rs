//! What an account can carry (instagram.md 2.1).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{AddressRule, Capabilities, ChoiceRule, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit};
use transom_domain::MediaKind;

/// The kind of the address by which an account knows a person: the Instagram-scoped id.
pub(crate) const IGSID: &str = "igsid";

const MIB: u64 = 1_024 * 1_024;

/// What an account can carry; quotes and our own reference are settings.
pub(crate) fn capabilities(quotes: bool, metadata: bool) -> Capabilities {
    // Bytes, not characters.
    let text = TextLimit::Utf8Bytes(1_000);
    Capabilities {
        text,
        // Words are a message of their own (2).
        caption: None,
        media: media(),
        // Pictures; everything else goes alone.
        files_per_part: 10,
        // Thirteen quick replies under any text; up to three of them stay as buttons, where the text has at most 640 characters.
        choices: Some(ChoiceRule {
            max_buttons: 13,
            button_title: TextLimit::Scalars(20),
            // As on the other half of the platform: no number of its own is given.
            button_id: TextLimit::Scalars(1_000),
            max_rows: 0,
            text,
        }),
        location: false,
        contacts: false,
        reactions: true,
        quotes,
        threads: false,
        shows_sender: false,
        // There is no delivery webhook (4.4); seen names the latest message.
        receipts: Receipts { delivered: false, read: true, failed: false },
        // No idempotency key; the echo has the same id as the answer, and our reference where that is sent (2).
        settling: Settling { dedupes_for: None, correlates: metadata, wait: Duration::seconds(60) },
        pacing: Pacing {
            // 300 a second; sound and films have 10 (2).
            account: Rate { burst: at_least_one(300), each: Duration::microseconds(3_334) },
            sound_and_film: Some(Rate { burst: at_least_one(10), each: Duration::milliseconds(100) }),
            // No number is given; a person's pace is.
            recipient: Rate { burst: at_least_one(20), each: Duration::seconds(1) },
            concurrency: at_least_one(16),
        },
        addresses: vec![AddressRule { kind: IGSID, can_start: false, from: None }],
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number - 1)
}

fn media() -> Vec<MediaRule> {
    let rule = |kind, mimes: &[&'static str], mib: u64| MediaRule {
        kind,
        mimes: mimes.to_vec(),
        max_bytes: mib * MIB,
        max_bytes_by_url: None,
        caption: false,
    };
    let video = ["video/mp4", "video/ogg", "video/x-msvideo", "video/quicktime", "video/webm"];
    let audio = ["audio/aac", "audio/mp4", "audio/x-m4a", "audio/wav", "audio/x-wav"];
    vec![
        rule(MediaKind::Image, &["image/png", "image/jpeg", "image/gif"], 8),
        rule(MediaKind::Video, &video, 25),
        rule(MediaKind::Animation, &video, 25),
        rule(MediaKind::Audio, &audio, 25),
        rule(MediaKind::Voice, &audio, 25),
        rule(MediaKind::Document, &["application/pdf"], 25),
    ]
}
