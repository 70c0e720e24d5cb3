//! What LINE carries, with the source of each number (sections of the fact sheet and of the Messaging API reference).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{AddressRule, Capabilities, ChoiceRule, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit};
use transom_domain::MediaKind;

/// The kind of the only address there is: a user's id, the same for all channels of a provider (5).
pub(crate) const USER_ID: &str = "user_id";

/// 5,000 UTF-16 code units; `\r\n` counts as two (2.4).
pub(crate) const TEXT: TextLimit = TextLimit::Utf16(5_000);
/// Message objects of one request (2.4).
pub(crate) const MESSAGES_PER_REQUEST: usize = 5;
/// Items of a quick reply (2.4).
pub(crate) const QUICK_REPLIES: usize = 13;
/// The label of an action (2.4).
pub(crate) const LABEL: TextLimit = TextLimit::Utf16(20);
/// The data of a postback (2.4).
pub(crate) const POSTBACK_DATA: TextLimit = TextLimit::Utf16(300);
/// Actions of a button template (2.4).
pub(crate) const TEMPLATE_BUTTONS: usize = 4;
/// The text of a button template without title and picture (2.4).
pub(crate) const TEMPLATE_TEXT: TextLimit = TextLimit::Utf16(160);
/// What stands for a template where it can't be shown: 400 by the older documents, 1,500 by the newer (2.4).
pub(crate) const ALT_TEXT: usize = 400;
/// The address that a button opens (2.4).
pub(crate) const ACTION_URI: TextLimit = TextLimit::Utf16(1_000);
/// Title and address of a place (2.4).
pub(crate) const PLACE_LINE: TextLimit = TextLimit::Utf16(100);
/// The address of a file (2.4).
pub(crate) const MEDIA_URL: TextLimit = TextLimit::Utf16(2_000);
/// The name shown in the place of the account's (2.1).
pub(crate) const SENDER_NAME: usize = 20;
/// A retry key is remembered for 24 hours after the first attempt (2.3).
pub(crate) const RETRY_KEY_LIVES: Duration = Duration::hours(24);
/// The largest file that is fetched: the limit of films (2.4).
pub(crate) const MAX_DOWNLOAD: u64 = 200 * MB;

const MB: u64 = 1024 * 1024;

/// What an account carries; films only where there is a still picture to show before them.
pub(crate) fn capabilities(films: bool) -> Capabilities {
    Capabilities {
        text: TEXT,
        // Words and files are messages of their own, in one request.
        caption: Some(TEXT),
        media: media(films),
        files_per_part: 5,
        choices: Some(ChoiceRule {
            max_buttons: 13,
            button_title: LABEL,
            button_id: POSTBACK_DATA,
            max_rows: 0,
            text: TEXT,
        }),
        location: true,
        contacts: false,
        reactions: false,
        quotes: false,
        threads: false,
        shows_sender: true,
        // "There are no delivered, seen or failed events" (4.3).
        receipts: Receipts { delivered: false, read: false, failed: false },
        settling: Settling { dedupes_for: Some(RETRY_KEY_LIVES), correlates: false, wait: Duration::MINUTE },
        pacing: Pacing {
            // 2,000 a second for each endpoint (1.4); half of it, since replicas pace on their own.
            account: Rate { burst: at_once(1_000), each: Duration::MILLISECOND },
            sound_and_film: None,
            // "Too many messages to the same user in a short time" (1.4); no number is documented.
            recipient: Rate { burst: at_once(5), each: Duration::SECOND },
            concurrency: at_once(16),
        },
        addresses: vec![AddressRule { kind: USER_ID, can_start: false, from: None }],
    }
}

const fn at_once(count: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(count - 1)
}

/// Message objects (2.1) and their limits (2.4). LINE fetches all of them by address.
fn media(films: bool) -> Vec<MediaRule> {
    let rule = |kind, mimes: &[&'static str], megabytes: u64| MediaRule {
        kind,
        mimes: mimes.to_vec(),
        max_bytes: megabytes * MB,
        max_bytes_by_url: None,
        caption: true,
    };
    let sounds = &["audio/mpeg", "audio/mp4", "audio/x-m4a", "audio/m4a"];
    let mut rules = vec![
        // The picture is its own preview, for which 1 MB is documented without certainty (2.4); larger ones are seen to work.
        rule(MediaKind::Image, &["image/jpeg", "image/png"], 10),
        rule(MediaKind::Audio, sounds, 200),
        rule(MediaKind::Voice, sounds, 200),
    ];
    if films {
        rules.push(rule(MediaKind::Video, &["video/mp4"], 200));
        rules.push(rule(MediaKind::Animation, &["video/mp4"], 200));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_each_other() {
        let capabilities = capabilities(true);
        assert_eq!(usize::from(capabilities.files_per_part), MESSAGES_PER_REQUEST);
        assert_eq!(usize::from(capabilities.choices.unwrap().max_buttons), QUICK_REPLIES);
        assert_eq!(capabilities.pacing.recipient.burst.get(), 5);
    }
}
