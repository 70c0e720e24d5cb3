//! What a channel can carry, as data: desk, API and docs read it and never ask for a platform's name.
//!
//! Who may start, templates, tags and windows are not here: the policy says them.

use std::num::NonZeroU32;

use serde::Serialize;
use time::Duration;
use transom_domain::{MediaKind, Profile};

/// What one account can carry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capabilities {
    /// The longest text of one message.
    pub text: TextLimit,
    /// The longest text that goes with a file; `None` where words and files are separate messages.
    pub caption: Option<TextLimit>,
    /// The files it takes.
    pub media: Vec<MediaRule>,
    /// How many files one request may carry.
    pub files_per_part: u8,
    /// Buttons and lists, where it has them.
    pub choices: Option<ChoiceRule>,
    /// Whether it can carry a place.
    pub location: bool,
    /// Whether it can carry contact cards.
    pub contacts: bool,
    /// Whether an emoji can be put to a message.
    pub reactions: bool,
    /// Whether a message can quote another.
    pub quotes: bool,
    /// Whether conversations have threads of their own within one identity (email).
    pub threads: bool,
    /// Whether the customer sees the agent's name.
    pub shows_sender: bool,
    /// What the platform tells about a message after accepting it.
    pub receipts: Receipts,
    /// How an outcome that is not known can be settled.
    pub settling: Settling,
    /// How fast it may be used.
    pub pacing: Pacing,
    /// The kinds of address it knows, best first; the desk stores what comes, a send needs one of them.
    pub addresses: Vec<AddressRule>,
}

/// The longest text, in the unit in which the platform counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "unit", content = "max")]
pub enum TextLimit {
    /// Unicode scalar values.
    Scalars(u32),
    /// UTF-16 code units.
    Utf16(u32),
    /// Bytes of UTF-8.
    Utf8Bytes(u32),
}

impl TextLimit {
    /// The limit, in its own unit.
    pub const fn max(self) -> u32 {
        match self {
            TextLimit::Scalars(max) | TextLimit::Utf16(max) | TextLimit::Utf8Bytes(max) => max,
        }
    }

    /// The unit's name, for messages to people.
    pub const fn unit(self) -> &'static str {
        match self {
            TextLimit::Scalars(_) => "characters",
            TextLimit::Utf16(_) => "UTF-16 units",
            TextLimit::Utf8Bytes(_) => "bytes",
        }
    }

    /// How long `text` is, in this unit.
    ///
    /// ```
    /// use transom_channel::TextLimit;
    /// assert_eq!(TextLimit::Scalars(9).length("né😀"), 3);
    /// assert_eq!(TextLimit::Utf16(9).length("né😀"), 4);
    /// assert_eq!(TextLimit::Utf8Bytes(9).length("né😀"), 7);
    /// ```
    pub fn length(self, text: &str) -> u64 {
        let length = match self {
            TextLimit::Scalars(_) => text.chars().count(),
            TextLimit::Utf16(_) => text.encode_utf16().count(),
            TextLimit::Utf8Bytes(_) => text.len(),
        };
        length as u64
    }

    /// Whether `text` fits.
    pub fn fits(self, text: &str) -> bool {
        self.length(text) <= u64::from(self.max())
    }
}

/// One sort of file that a channel takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MediaRule {
    /// What it is to the reader.
    pub kind: MediaKind,
    /// Accepted MIME types; `type/*` takes all of a type, `*/*` takes everything.
    pub mimes: Vec<&'static str>,
    /// The largest file, in bytes.
    pub max_bytes: u64,
    /// The largest file when the platform fetches it from an address; `None`: the same.
    pub max_bytes_by_url: Option<u64>,
    /// Whether words may go with it.
    pub caption: bool,
}

impl MediaRule {
    /// Whether a MIME type is accepted; parameters and case are ignored.
    pub fn accepts(&self, mime: &str) -> bool {
        let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        self.mimes.iter().any(|accepted| match accepted.strip_suffix("/*") {
            Some("*") => true,
            Some(family) => mime.split('/').next() == Some(family),
            None => *accepted == mime,
        })
    }
}

/// Buttons and lists of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ChoiceRule {
    /// The most buttons of one message.
    pub max_buttons: u8,
    /// The longest label of a button.
    pub button_title: TextLimit,
    /// The longest answer that a button carries.
    pub button_id: TextLimit,
    /// The most rows of a list; 0 where it has no lists.
    pub max_rows: u8,
    /// The longest text above them.
    pub text: TextLimit,
}

/// What a platform tells about a message after accepting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Receipts {
    /// It says when the message reached the device.
    pub delivered: bool,
    /// It says when the message was read.
    pub read: bool,
    /// It may report failure after having accepted.
    pub failed: bool,
}

/// How an outcome that is not known can be settled (reliability.md 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Settling {
    /// For how long the platform drops a second request with the same key and bytes; `None`: never.
    #[serde(serialize_with = "whole_seconds")]
    pub dedupes_for: Option<Duration>,
    /// Whether receipts or echoes carry our own reference back.
    pub correlates: bool,
    /// How long to wait for evidence before a person is asked.
    #[serde(serialize_with = "seconds")]
    pub wait: Duration,
}

/// How fast an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pacing {
    /// Requests of the whole account.
    pub account: Rate,
    /// Those of the whole account that carry sound or a film, where the platform takes fewer of these.
    pub sound_and_film: Option<Rate>,
    /// Requests to one recipient.
    pub recipient: Rate,
    /// Requests under way at once.
    pub concurrency: NonZeroU32,
}

/// A token bucket: `burst` at once, refilled one each `per`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// How many at once.
    pub burst: NonZeroU32,
    /// The span in which one more is allowed.
    #[serde(serialize_with = "seconds")]
    pub each: Duration,
}

/// A kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AddressRule {
    /// Its name, as in [`transom_domain::Address::kind`].
    pub kind: &'static str,
    /// Whether a person of whom only this address is known can be written to at all; whether they may be is the policy's.
    pub can_start: bool,
    /// The field of a contact that is such an address: by it somebody can be written to who never wrote. `None`: only the
    /// platform tells addresses of this kind.
    pub from: Option<ContactField>,
}

/// A field of a contact that is an address on some platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactField {
    /// The phone number.
    Phone,
    /// The email address.
    Email,
    /// The id by which the business's own systems know the person.
    ExternalId,
}

impl ContactField {
    /// What a contact's profile says in it.
    pub fn of(self, profile: &Profile) -> Option<&str> {
        match self {
            ContactField::Phone => profile.phone.as_deref(),
            ContactField::Email => profile.email.as_deref(),
            ContactField::ExternalId => profile.external_id.as_deref(),
        }
    }

    /// It in words, for messages to people.
    pub const fn label(self) -> &'static str {
        match self {
            ContactField::Phone => "phone number",
            ContactField::Email => "email address",
            ContactField::ExternalId => "external id",
        }
    }
}

fn seconds<S: serde::Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(span.as_seconds_f64())
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn whole_seconds<S: serde::Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    match span {
        Some(span) => to.serialize_some(&span.whole_seconds()),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mime_types_match_by_family_and_without_parameters() {
        let rule = MediaRule {
            kind: MediaKind::Audio,
            mimes: vec!["audio/ogg", "image/*"],
            max_bytes: 1,
            max_bytes_by_url: None,
            caption: false,
        };
        assert!(rule.accepts("Audio/OGG; codecs=opus") && rule.accepts("image/webp"));
        assert!(!rule.accepts("audio/mpeg") && !rule.accepts("imagex/webp"));
    }
}
