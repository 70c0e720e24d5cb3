//! What WeChat carries, with the source of each number (sections of the fact sheet).

use std::num::NonZeroU32;

use time::Duration;
use transom_channel::{AddressRule, Capabilities, ChoiceRule, MediaRule, Pacing, Rate, Receipts, Settling, TextLimit};
use transom_domain::MediaKind;

/// The customer's id on this account (5).
pub(crate) const OPENID: &str = "openid";

/// "2048 bytes UTF-8 is the safe value" (2.2).
pub(crate) const TEXT: TextLimit = TextLimit::Utf8Bytes(2_048);
/// No limit is documented for the items of a menu message: as many and as long as fit on a screen.
const MENU_ITEMS: u8 = 10;
const MENU_LABEL: TextLimit = TextLimit::Utf8Bytes(120);
const MENU_ID: TextLimit = TextLimit::Utf8Bytes(64);

/// "About 10 minutes (unsure)" (2.3).
const TEMPLATE_KEY_LIVES: Duration = Duration::minutes(10);

const MIB: u64 = 1024 * 1024;

/// `video`: a still picture for films is known; without one they can't be sent.
pub(crate) fn capabilities(video: bool) -> Capabilities {
    let rule = |kind, mimes, max_bytes| MediaRule { kind, mimes, max_bytes, max_bytes_by_url: None, caption: false };
    let mut media = vec![
        // One page says 10 MB, others 2 MB: "use 2 MB to be safe" (2.4).
        rule(MediaKind::Image, vec!["image/jpeg", "image/png", "image/gif"], 2 * MIB),
        rule(MediaKind::Voice, vec!["audio/mpeg", "audio/amr"], 2 * MIB),
        rule(MediaKind::Audio, vec!["audio/mpeg", "audio/amr"], 2 * MIB),
    ];
    if video {
        media.push(rule(MediaKind::Video, vec!["video/mp4"], 10 * MIB));
    }
    Capabilities {
        text: TEXT,
        // Words and files are separate messages (2.2).
        caption: None,
        media,
        files_per_part: 1,
        choices: Some(ChoiceRule {
            max_buttons: MENU_ITEMS,
            button_title: MENU_LABEL,
            button_id: MENU_ID,
            max_rows: 0,
            text: TEXT,
        }),
        location: false,
        contacts: false,
        reactions: false,
        quotes: false,
        threads: false,
        // `kf_account` shows an agent that Tencent's console knows, not a name of ours (2.2).
        shows_sender: false,
        // "No message id, no delivery or read receipts" (2.2).
        receipts: Receipts { delivered: false, read: false, failed: false },
        // Template messages carry a key (2.3). The others have "no idempotency key", and nothing that could come as evidence: a
        // person is asked at once (2.2).
        settling: Settling { dedupes_for: Some(TEMPLATE_KEY_LIVES), correlates: false, wait: Duration::ZERO },
        pacing: Pacing {
            // 500,000 calls a day (unsure), and a quota a minute that is not documented (1.2).
            account: Rate { burst: at_once(20), each: Duration::milliseconds(100) },
            sound_and_film: None,
            // None is documented: what a customer may get in two days at all is hardly more.
            recipient: Rate { burst: at_once(20), each: Duration::milliseconds(200) },
            concurrency: at_once(8),
        },
        addresses: vec![AddressRule { kind: OPENID, can_start: false, from: None }],
    }
}

fn at_once(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}
