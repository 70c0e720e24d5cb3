//! The JSON that only Instagram has, without logic. The Send API's is [`transom_meta::messaging`].
//!
//! Webhooks are read in [`crate::inbound`], field by field, because every part of them may be missing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /{account}` with Facebook Login, `GET /me` with Instagram Login, which calls the webhooks' id `user_id`.
#[derive(Debug, Deserialize)]
pub(crate) struct AccountNode {
    pub(crate) id: Option<Value>,
    pub(crate) user_id: Option<Value>,
    pub(crate) username: Option<String>,
}

/// `GET /{igsid}`; name and picture may be missing (instagram.md 5).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PersonNode {
    pub(crate) name: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) profile_pic: Option<String>,
}

/// `GET /refresh_access_token`.
#[derive(Debug, Deserialize)]
pub(crate) struct Refreshed {
    pub(crate) access_token: Option<String>,
    /// In seconds.
    pub(crate) expires_in: Option<i64>,
}

/// `POST /{page}/take_thread_control`.
#[derive(Debug, Serialize)]
pub(crate) struct Thread<'m> {
    pub(crate) recipient: transom_meta::messaging::Recipient<'m>,
}
