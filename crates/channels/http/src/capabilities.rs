//! What the protocol carries (docs/channels/http.md). What the other side cannot, it refuses by `content_refused`.

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{
    AddressRule, Capabilities, ChoiceRule, ContactField, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit,
};
use transom_domain::MediaKind;

use crate::config::Config;

/// A number in E.164.
pub(crate) const PHONE: &str = "phone";
/// The other side's own id of a person.
pub(crate) const USER_ID: &str = "user_id";
/// An email address.
pub(crate) const EMAIL: &str = "email";

/// All kinds of address, best first.
pub(crate) const ADDRESSES: [AddressRule; 3] = [
    AddressRule { kind: USER_ID, can_start: true, from: None },
    AddressRule { kind: PHONE, can_start: true, from: Some(ContactField::Phone) },
    AddressRule { kind: EMAIL, can_start: true, from: Some(ContactField::Email) },
];

/// The longest file; it goes by address, and whoever fetches it may want less.
const MAX_FILE: u64 = 100 * 1024 * 1024;
pub(crate) const BUTTON_TITLE: TextLimit = TextLimit::Scalars(40);
pub(crate) const BUTTON_ID: TextLimit = TextLimit::Scalars(256);
pub(crate) const MAX_BUTTONS: u8 = 10;
pub(crate) const MAX_ROWS: u8 = 10;

pub(crate) fn capabilities(config: &Config) -> Capabilities {
    let text = TextLimit::Scalars(config.text_limit);
    Capabilities {
        text,
        caption: Some(text),
        media: media(),
        files_per_part: 1,
        choices: Some(ChoiceRule {
            max_buttons: MAX_BUTTONS,
            button_title: BUTTON_TITLE,
            button_id: BUTTON_ID,
            max_rows: MAX_ROWS,
            text,
        }),
        location: true,
        contacts: true,
        reactions: true,
        quotes: true,
        threads: false,
        shows_sender: true,
        receipts: Receipts { delivered: true, read: true, failed: true },
        // The protocol's own promise: an id seen within a day is not sent again, and comes back in receipts.
        settling: Settling { dedupes_for: Some(Duration::DAY), correlates: true, wait: Duration::MINUTE },
        pacing: Pacing {
            account: Rate { burst: at_once(50), each: Duration::milliseconds(20) },
            sound_and_film: None,
            recipient: Rate { burst: at_once(20), each: Duration::SECOND },
            concurrency: at_once(16),
        },
        addresses: config.addresses.clone(),
    }
}

fn at_once(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

fn media() -> Vec<MediaRule> {
    let rule = |kind, mime: &'static str, caption| MediaRule {
        kind,
        mimes: vec![mime],
        max_bytes: MAX_FILE,
        max_bytes_by_url: None,
        caption,
    };
    vec![
        rule(MediaKind::Image, "image/*", true),
        rule(MediaKind::Video, "video/*", true),
        rule(MediaKind::Audio, "audio/*", false),
        rule(MediaKind::Voice, "audio/*", false),
        rule(MediaKind::Document, "*/*", true),
    ]
}
