//! What mail can carry.

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{
    AddressRule, Capabilities, ContactField, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit,
};
use transom_domain::MediaKind;

use crate::config::Config;

/// The kind of address of this channel.
pub(crate) const EMAIL: &str = "email";
/// The longest text: mail itself has no such limit, what is written by hand never comes near it.
pub(crate) const TEXT: TextLimit = TextLimit::Scalars(100_000);
/// The longest subject (sheet 2, own rule).
pub(crate) const SUBJECT: TextLimit = TextLimit::Scalars(255);
/// Files of one mail; beyond it nobody finds one again.
pub(crate) const MAX_FILES: u8 = 50;
/// Readers beside the person: with them the 100 recipients that every server takes (RFC 5321 section 4.5.3.1.8).
pub(crate) const MAX_READERS: usize = 99;
/// Octets of base 64 with its line ends for each octet of a file, as a fraction (sheet 2: +37 %).
pub(crate) const ENCODED: (u64, u64) = (137, 100);

pub(crate) fn capabilities(config: &Config) -> Capabilities {
    Capabilities {
        text: TEXT,
        caption: Some(TEXT),
        media: media(config.max_bytes),
        files_per_part: MAX_FILES,
        choices: None,
        location: false,
        contacts: false,
        reactions: false,
        // In-Reply-To (RFC 5322 section 3.6.4).
        quotes: true,
        threads: true,
        shows_sender: true,
        receipts: Receipts { delivered: config.delivery_receipts, read: false, failed: true },
        // Many stores drop a second mail with the same Message-ID, none promises to; a bounce comes back by our token.
        settling: Settling { dedupes_for: None, correlates: true, wait: Duration::MINUTE },
        pacing: Pacing {
            account: Rate {
                burst: at_least_one(config.per_minute),
                each: Duration::MINUTE / i32::try_from(config.per_minute).unwrap_or(i32::MAX),
            },
            sound_and_film: None,
            // One mail after another, as a person writes them.
            recipient: Rate { burst: at_least_one(5), each: Duration::seconds(10) },
            // Connections at once that every provider takes.
            concurrency: at_least_one(4),
        },
        addresses: vec![AddressRule { kind: EMAIL, can_start: true, from: Some(ContactField::Email) }],
    }
}

/// Files go as they are, of any type; their total, encoded, is the limit.
fn media(max_bytes: u64) -> Vec<MediaRule> {
    let rule = |kind, mime| MediaRule {
        kind,
        mimes: vec![mime],
        max_bytes: max_bytes * ENCODED.1 / ENCODED.0,
        max_bytes_by_url: None,
        caption: true,
    };
    vec![
        rule(MediaKind::Image, "image/*"),
        rule(MediaKind::Video, "video/*"),
        rule(MediaKind::Audio, "audio/*"),
        rule(MediaKind::Voice, "audio/*"),
        rule(MediaKind::Animation, "*/*"),
        rule(MediaKind::Document, "*/*"),
    ]
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}
