//! What a sender carries, with the source of each number (sections of the fact sheet).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{
    AddressRule, Capabilities, ContactField, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit,
};
use transom_domain::MediaKind;

/// The kind of address that can be written to: a number, E.164.
pub(crate) const PHONE: &str = "phone";
/// The kind of what can't: a short code, or a name.
pub(crate) const SENDER_ID: &str = "sender_id";

/// 1,600 characters (2); UTF-16 units are on the safe side.
pub(crate) const TEXT: TextLimit = TextLimit::Utf16(1_600);
/// Files of a message (2).
pub(crate) const MAX_FILES: usize = 10;
/// All files of a message together (6).
pub(crate) const MAX_TOTAL: u64 = 5 * 1024 * 1024;

/// What the sender carries; `correlates` where receipts bring our reference back.
pub(crate) fn capabilities(mms: bool, correlates: bool) -> Capabilities {
    Capabilities {
        text: TEXT,
        caption: mms.then_some(TEXT),
        media: if mms { media() } else { Vec::new() },
        files_per_part: if mms { 10 } else { 0 },
        choices: None,
        location: false,
        contacts: false,
        reactions: false,
        quotes: false,
        threads: false,
        shows_sender: false,
        // `sent` may stay final where carriers give no receipt (2).
        receipts: Receipts { delivered: true, read: false, failed: true },
        // "No documented idempotency key" (2).
        settling: Settling { dedupes_for: None, correlates, wait: Duration::MINUTE },
        pacing: Pacing {
            // Twilio queues what is too fast for a sender, for ten hours; this keeps its own API content (1, quotas).
            account: Rate { burst: at_once(10), each: Duration::milliseconds(100) },
            sound_and_film: None,
            recipient: Rate { burst: at_once(5), each: Duration::SECOND },
            concurrency: at_once(8),
        },
        addresses: vec![AddressRule { kind: PHONE, can_start: true, from: Some(ContactField::Phone) }],
    }
}

const fn at_once(count: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(count - 1)
}

/// Pictures are resized for carriers, other types are not: those stay below 600 KB (6).
fn media() -> Vec<MediaRule> {
    let rule = |kind, mimes: &[&'static str], max_bytes| MediaRule {
        kind,
        mimes: mimes.to_vec(),
        max_bytes,
        max_bytes_by_url: None,
        caption: true,
    };
    let (resized, as_it_is) = (MAX_TOTAL, 600 * 1_000);
    vec![
        rule(MediaKind::Image, &["image/jpeg", "image/png", "image/gif"], resized),
        rule(MediaKind::Animation, &["image/gif"], resized),
        rule(MediaKind::Video, &["video/mp4", "video/3gpp"], as_it_is),
        rule(MediaKind::Audio, &["audio/mpeg", "audio/mp4", "audio/amr", "audio/ogg"], as_it_is),
        rule(MediaKind::Voice, &["audio/amr", "audio/ogg", "audio/mpeg", "audio/mp4"], as_it_is),
        rule(MediaKind::Document, &["application/pdf", "text/vcard", "text/plain", "text/csv"], as_it_is),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_each_other() {
        assert_eq!(usize::from(capabilities(true, true).files_per_part), MAX_FILES);
        assert!(capabilities(false, true).media.is_empty());
    }
}
