//! What the chat carries, with the source of each number (sections of the fact sheet).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{
    AddressRule, Capabilities, ChoiceRule, ContactField, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit,
};
use transom_domain::MediaKind;

use crate::visitor::{EXTERNAL_ID, VISITOR_ID};

/// The longest text, either way (4).
pub(crate) const TEXT: TextLimit = TextLimit::Scalars(10_000);
/// Buttons under a message (4).
pub(crate) const BUTTONS: u8 = 10;
/// The label of a button (4).
pub(crate) const LABEL: TextLimit = TextLimit::Scalars(60);
/// What a button sends back; the sheet leaves it open, and a frame has room for more.
pub(crate) const PAYLOAD: TextLimit = TextLimit::Scalars(1_000);
/// Files of one message (7).
pub(crate) const FILES: u8 = 5;
/// The largest file (7).
pub(crate) const MAX_FILE: u64 = 20 * 1024 * 1024;
/// A key of a part is remembered for longer than this: as long as the mailbox keeps its event (4: at least 24 hours).
const DEDUPES_FOR: Duration = Duration::hours(24);

/// The files that are taken, either way (7).
const FILE_TYPES: &[(MediaKind, &[&str])] = &[
    (MediaKind::Image, &["image/jpeg", "image/png", "image/gif", "image/webp"]),
    (MediaKind::Animation, &["image/gif", "video/mp4"]),
    (MediaKind::Video, &["video/mp4"]),
    (MediaKind::Audio, &["audio/mpeg", "audio/ogg"]),
    (MediaKind::Voice, &["audio/ogg", "audio/mpeg"]),
    (
        MediaKind::Document,
        &[
            "application/pdf",
            "text/plain",
            "text/csv",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ],
    ),
];

/// What a file of a type is to the reader; `None` for one that is not taken.
pub(crate) fn kind_of(mime: &str) -> Option<MediaKind> {
    let listed = FILE_TYPES.iter().filter(|(kind, _)| !matches!(kind, MediaKind::Animation | MediaKind::Voice));
    listed.into_iter().find(|(_, mimes)| mimes.contains(&mime)).map(|(kind, _)| *kind)
}

/// Every type that is taken, once.
#[cfg(feature = "server")]
pub(crate) fn types() -> Vec<&'static str> {
    let mut all: Vec<&str> = FILE_TYPES.iter().flat_map(|(_, mimes)| mimes.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(crate) fn capabilities() -> Capabilities {
    let rule = |(kind, mimes): &(MediaKind, &[&'static str])| MediaRule {
        kind: *kind,
        mimes: mimes.to_vec(),
        max_bytes: MAX_FILE,
        max_bytes_by_url: None,
        caption: true,
    };
    Capabilities {
        text: TEXT,
        caption: Some(TEXT),
        media: FILE_TYPES.iter().map(rule).collect(),
        files_per_part: FILES,
        choices: Some(ChoiceRule {
            max_buttons: BUTTONS,
            button_title: LABEL,
            button_id: PAYLOAD,
            max_rows: 0,
            text: TEXT,
        }),
        location: false,
        contacts: false,
        reactions: false,
        quotes: true,
        threads: false,
        shows_sender: true,
        // "stored -> delivered (socket ack) -> read" (4).
        receipts: Receipts { delivered: true, read: true, failed: false },
        settling: Settling { dedupes_for: Some(DEDUPES_FOR), correlates: true, wait: Duration::MINUTE },
        // Nothing of ours limits what the business writes: this keeps one visitor's flood from the others.
        pacing: Pacing {
            account: Rate { burst: at_once(500), each: Duration::milliseconds(2) },
            sound_and_film: None,
            recipient: Rate { burst: at_once(20), each: Duration::milliseconds(100) },
            concurrency: at_once(16),
        },
        addresses: vec![
            AddressRule { kind: EXTERNAL_ID, can_start: true, from: Some(ContactField::ExternalId) },
            AddressRule { kind: VISITOR_ID, can_start: false, from: None },
        ],
    }
}

const fn at_once(count: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_one_kind_of_file() {
        assert_eq!(kind_of("image/gif"), Some(MediaKind::Image));
        assert_eq!(kind_of("video/mp4"), Some(MediaKind::Video));
        assert_eq!(kind_of("audio/ogg"), Some(MediaKind::Audio));
        assert_eq!(kind_of("text/csv"), Some(MediaKind::Document));
        for refused in ["text/html", "image/svg+xml", "application/zip", "application/octet-stream"] {
            assert_eq!(kind_of(refused), None, "{refused}");
        }
    }
}
