//! What a WhatsApp number can carry (whatsapp.md 2, "Limits").

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{
    AddressRule, Capabilities, ChoiceRule, ContactField, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit,
};
use transom_domain::MediaKind;

/// The kind of the address by which a portfolio knows a user, whatever their number: the business-scoped user id.
pub(crate) const BSUID: &str = "bsuid";
/// The kind of a phone number, E.164 with its plus sign.
pub(crate) const PHONE: &str = "phone";

/// The longest text of a message. Meta says "characters"; Unicode scalar values are taken for that.
pub(crate) const TEXT: TextLimit = TextLimit::Scalars(4_096);
/// The longest text that goes with a picture, a film or a document.
pub(crate) const CAPTION: TextLimit = TextLimit::Scalars(1_024);
/// The longest text above buttons or a list. Lists take 4,096 by now; older documents said 1,024 for both.
pub(crate) const CHOICE_TEXT: TextLimit = TextLimit::Scalars(1_024);
/// The longest line above and below buttons or a list.
pub(crate) const CHOICE_LINE: TextLimit = TextLimit::Scalars(60);
/// The longest label of a button, and of what unfolds a list.
pub(crate) const BUTTON_TITLE: TextLimit = TextLimit::Scalars(20);
/// The longest answer that a button carries.
pub(crate) const BUTTON_ID: TextLimit = TextLimit::Scalars(256);
/// The longest title of a list's section or row.
pub(crate) const ROW_TITLE: TextLimit = TextLimit::Scalars(24);
/// The longest answer that a row carries.
pub(crate) const ROW_ID: TextLimit = TextLimit::Scalars(200);
/// The longest second line of a row.
pub(crate) const ROW_DESCRIPTION: TextLimit = TextLimit::Scalars(72);
/// The most buttons of a message.
pub(crate) const MAX_BUTTONS: usize = 3;
/// The most rows of a list, over all its sections, and the most sections.
pub(crate) const MAX_ROWS: usize = 10;
/// The longest name of a template.
pub(crate) const TEMPLATE_NAME: TextLimit = TextLimit::Scalars(512);

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;

/// What a number can carry.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        text: TEXT,
        caption: Some(CAPTION),
        media: media(),
        files_per_part: 1,
        choices: Some(ChoiceRule {
            max_buttons: 3,
            button_title: BUTTON_TITLE,
            button_id: BUTTON_ID,
            max_rows: 10,
            text: CHOICE_TEXT,
        }),
        location: true,
        contacts: true,
        reactions: true,
        quotes: true,
        threads: false,
        shows_sender: false,
        receipts: Receipts { delivered: true, read: true, failed: true },
        // No idempotency key; biz_opaque_callback_data comes back in statuses (reliability.md 5).
        settling: Settling { dedupes_for: None, correlates: true, wait: Duration::seconds(60) },
        pacing: Pacing {
            // 80 a second, inbound and outbound together (1.5).
            account: Rate { burst: at_least_one(80), each: Duration::microseconds(12_500) },
            sound_and_film: None,
            // One in 6 seconds to the same user, with a burst of 45 borrowed from the future (1.5).
            recipient: Rate { burst: at_least_one(45), each: Duration::seconds(6) },
            concurrency: at_least_one(16),
        },
        addresses: vec![
            AddressRule { kind: BSUID, can_start: true, from: None },
            AddressRule { kind: PHONE, can_start: true, from: Some(ContactField::Phone) },
        ],
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(number - 1)
}

/// The files it takes. A short silent film goes out as a film: WhatsApp has no kind of its own for it.
pub(crate) fn media() -> Vec<MediaRule> {
    let rule = |kind, mimes: &[&'static str], max_bytes, caption| MediaRule {
        kind,
        mimes: mimes.to_vec(),
        max_bytes,
        max_bytes_by_url: None,
        caption,
    };
    vec![
        rule(MediaKind::Image, &["image/jpeg", "image/png"], 5 * MIB, true),
        rule(MediaKind::Video, &["video/mp4", "video/3gpp"], 16 * MIB, true),
        rule(MediaKind::Animation, &["video/mp4"], 16 * MIB, true),
        rule(MediaKind::Audio, &["audio/mpeg", "audio/aac", "audio/amr", "audio/mp4", "audio/ogg"], 16 * MIB, false),
        // A voice note is Opus in Ogg, mono.
        rule(MediaKind::Voice, &["audio/ogg"], 16 * MIB, false),
        rule(MediaKind::Document, DOCUMENTS, 100 * MIB, true),
        // 500 KB for an animated sticker, 100 KB for a still one: which it is, the platform says.
        rule(MediaKind::Sticker, &["image/webp"], 500 * KIB, false),
    ]
}

const DOCUMENTS: &[&str] = &[
    "text/plain",
    "application/pdf",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_each_other() {
        let capabilities = capabilities();
        let choices = capabilities.choices.unwrap();
        assert_eq!(usize::from(choices.max_buttons), MAX_BUTTONS);
        assert_eq!(usize::from(choices.max_rows), MAX_ROWS);
        assert_eq!(capabilities.pacing.account.burst.get(), 80);
        assert_eq!(capabilities.pacing.recipient.burst.get(), 45);
    }
}
