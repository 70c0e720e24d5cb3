//! What Telegram carries, with the source of each number (sections of the fact sheet and of the Bot API reference).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{AddressRule, Capabilities, ChoiceRule, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit};
use transom_domain::MediaKind;

use crate::config::Voice;

/// The kind of the only address there is: a user's id, which is also the id of the private chat (5).
pub(crate) const USER_ID: &str = "user_id";

/// 4096 characters; sources disagree on the unit, UTF-16 units are on the safe side (2).
pub(crate) const TEXT: TextLimit = TextLimit::Utf16(4_096);
/// 0 to 1024 characters (2, captions).
pub(crate) const CAPTION: TextLimit = TextLimit::Utf16(1_024);
/// `callback_data` (2, inline buttons).
pub(crate) const CALLBACK_DATA: TextLimit = TextLimit::Utf8Bytes(64);
/// No limit is documented: about what a phone shows.
pub(crate) const BUTTON_TITLE: TextLimit = TextLimit::Utf16(64);
/// No limit is documented: keyboards of 100 buttons are known to work.
pub(crate) const MAX_BUTTONS: u8 = 100;
/// `sendContact`, field `vcard` (Bot API reference).
pub(crate) const VCARD: TextLimit = TextLimit::Utf8Bytes(2_048);
/// The largest file that `getFile` gives (6).
pub(crate) const MAX_DOWNLOAD: u64 = 20 * MB;
/// What documents may be when Telegram fetches them itself (2).
pub(crate) const DOCUMENTS_BY_URL: [&str; 3] = ["application/pdf", "application/zip", "image/gif"];

const MB: u64 = 1024 * 1024;

/// What an account carries; a business connection has no reactions, since `setMessageReaction` knows no connection.
pub(crate) fn capabilities(voice: &Voice) -> Capabilities {
    Capabilities {
        text: TEXT,
        caption: Some(CAPTION),
        media: media(),
        // An album is one request with many messages and so many ids: each file goes alone instead.
        files_per_part: 1,
        choices: Some(ChoiceRule {
            max_buttons: MAX_BUTTONS,
            button_title: BUTTON_TITLE,
            button_id: CALLBACK_DATA,
            max_rows: 0,
            text: TEXT,
        }),
        location: true,
        contacts: true,
        reactions: *voice == Voice::Bot,
        quotes: true,
        threads: false,
        shows_sender: false,
        // "Delivery state: the API reports only acceptance" (2).
        receipts: Receipts { delivered: false, read: false, failed: false },
        settling: Settling { dedupes_for: None, correlates: false, wait: Duration::MINUTE },
        pacing: Pacing {
            // About 30 a second for the bot, one a second for a chat with short bursts (1, quotas).
            account: Rate { burst: at_once(30), each: Duration::microseconds(33_334) },
            sound_and_film: None,
            recipient: Rate { burst: at_once(3), each: Duration::SECOND },
            concurrency: at_once(16),
        },
        addresses: vec![AddressRule { kind: USER_ID, can_start: false, from: None }],
    }
}

fn at_once(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

/// Media methods (2): upload and by-URL limits.
fn media() -> Vec<MediaRule> {
    let rule = |kind, mimes: &[&'static str], megabytes: u64, by_url: u64| MediaRule {
        kind,
        mimes: mimes.to_vec(),
        max_bytes: megabytes * MB,
        max_bytes_by_url: Some(by_url * MB),
        caption: true,
    };
    vec![
        // Over 10 MB it goes as a document (6).
        rule(MediaKind::Image, &["image/jpeg", "image/png", "image/webp"], 50, 5),
        rule(MediaKind::Video, &["video/mp4"], 50, 20),
        rule(MediaKind::Animation, &["image/gif", "video/mp4"], 50, 20),
        rule(MediaKind::Audio, &["audio/mpeg", "audio/mp4", "audio/x-m4a"], 50, 20),
        rule(MediaKind::Voice, &["audio/ogg", "audio/mpeg", "audio/mp4"], 50, 1),
        rule(MediaKind::Document, &["*/*"], 50, 20),
        MediaRule {
            kind: MediaKind::Sticker,
            mimes: vec!["image/webp", "application/x-tgsticker", "video/webm"],
            // The size of a static sticker, the largest of the three (sticker guide).
            max_bytes: 512 * 1024,
            max_bytes_by_url: Some(512 * 1024),
            caption: false,
        },
    ]
}
