//! Facebook Messenger: `{base}/messenger`, then `/v25.0/{page}/messages` and the other edges of a Page.
//!
//! The account's id is the Page's; its settings are [`PageSettings`]. A person has the same page-scoped id on every Page.
//! Not modelled: thread control by person, one-time notifications, marketing messages.
//!
//! Acts of its own, as `other`: `referral` and `optin` (with what the webhook carries), `comment` and `visitor_post`
//! (`{"id", "text"}`), `message` (any fields of a message).
//!
//! | verb | does |
//! | --- | --- |
//! | `template` | makes or replaces a utility template: `{"name", "language", "category", "status", "components"}` |
//! | `template_status` | sets a template's status and announces it |
//! | `handshake` | makes the GET call by which Meta checks a webhook URL |
//! | `alert` | sends any other change: `{"field", "value"}` |

mod rules;

pub use super::pages::PageSettings;

use super::pages::errors::GraphError;
use super::pages::{Pageful, Receipts, Side};

const MIB: usize = 1024 * 1024;

static SIDE: Side = Side {
    name: "messenger",
    object: "page",
    is_instagram: false,
    mid: "m_",
    person: ('6', 16),
    receipts: Receipts::Watermarks,
    too_long: |text| text.chars().count() >= 2_000,
    fits,
    window: rules::window,
    judge: rules::judge,
    would_accept: rules::would_accept,
};

/// The personality.
pub(super) fn personality() -> Pageful {
    Pageful(&SIDE)
}

/// 25 MB, of the family that the message says.
fn fits(kind: &str, mime: &str, size: usize) -> Result<(), GraphError> {
    let family = mime.split('/').next().unwrap_or_default();
    let same = match kind {
        "file" => true,
        "image" | "video" | "audio" => family == kind,
        _ => return Err(GraphError::parameter("type", "image, video, audio or file")),
    };
    if !same {
        return Err(GraphError::sub(100, 2_018_047, format!("Upload attachment failure: {mime} is no {kind}")));
    }
    if size > 25 * MIB {
        return Err(GraphError::sub(100, 2_018_109, "Attachment size exceeds allowable limit"));
    }
    Ok(())
}
