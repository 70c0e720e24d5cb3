//! Instagram messaging: `{base}/instagram`, then `/v25.0/{page or account}/messages` and the other edges.
//!
//! The account's id is the professional account's; its settings are [`PageSettings`]. Both set-ups are answered alike: by the
//! Page (Facebook Login) and by the account or `me` (Instagram Login). Not modelled: Live, message requests, ads.
//!
//! Acts of its own, as `other`: `referral` (with what the webhook carries), `comment` (`{"id", "text"}`), `story_reply`
//! (`{"text"}`), `story_mention`, `message` (any fields of a message).
//!
//! | verb | does |
//! | --- | --- |
//! | `handshake` | makes the GET call by which Meta checks a webhook URL |
//! | `alert` | sends any other change: `{"field", "value"}` |

mod rules;

pub use super::pages::PageSettings;

use super::pages::errors::GraphError;
use super::pages::{Pageful, Receipts, Side};

const MIB: usize = 1024 * 1024;

static SIDE: Side = Side {
    name: "instagram",
    object: "instagram",
    is_instagram: true,
    mid: "aWdf",
    person: ('1', 17),
    receipts: Receipts::LatestSeen,
    too_long: |text| text.len() > 1_000,
    fits,
    window: rules::window,
    judge: rules::judge,
    would_accept: rules::would_accept,
};

/// The personality.
pub(super) fn personality() -> Pageful {
    Pageful(&SIDE)
}

/// The types and sizes of the documents' table.
fn fits(kind: &str, mime: &str, size: usize) -> Result<(), GraphError> {
    let (mimes, most): (&[&str], usize) = match kind {
        "image" => (&["image/png", "image/jpeg", "image/gif"], 8 * MIB),
        "audio" => (&["audio/aac", "audio/mp4", "audio/x-m4a", "audio/wav", "audio/x-wav"], 25 * MIB),
        "video" => (&["video/mp4", "video/ogg", "video/x-msvideo", "video/quicktime", "video/webm"], 25 * MIB),
        "file" => (&["application/pdf"], 25 * MIB),
        _ => return Err(GraphError::parameter("type", "image, video, audio or file")),
    };
    if !mimes.contains(&mime) {
        return Err(GraphError::sub(100, 2_018_047, format!("Upload attachment failure: {mime} is no {kind}")));
    }
    if size > most {
        return Err(GraphError::sub(100, 2_018_109, "Attachment size exceeds allowable limit"));
    }
    Ok(())
}
