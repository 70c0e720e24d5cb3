//! What is split and what is refused, before anything leaves. Pure.

use std::collections::BTreeSet;

use transom_channel::{Capabilities, MediaRule, PlannedPart, TextLimit, Unsendable, checks};
use transom_domain::{Attachment, Body, Choice, Choices, Content, MediaKind, MediaSource};

use super::comment::is_public;

/// The longest text above buttons that stay (messenger.md 2.5).
pub(super) const BUTTON_TEXT: TextLimit = TextLimit::Scalars(640);
/// The most buttons that stay (messenger.md 2.5).
pub(super) const MOST_BUTTONS: usize = 3;

/// One part a request: the words first, then the files, in the order in which they were given. There are no captions
/// (messenger.md 2.2, instagram.md 2). Pictures go together as far as the account takes several. A quote stays on the first.
///
/// # Errors
/// [`Unsendable`] for what the account can't carry; templates are the platform's own to plan.
pub fn plan(content: &Content, account: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if let Some(quoted) = &content.reply_to {
        if !account.quotes {
            return Err(checks::not_supported("a message that quotes another"));
        }
        checks::present("reply_to", quoted)?;
        if is_public(quoted) {
            return Err(checks::not_supported("a quote of what was said in public; write without quoting"));
        }
    }
    let bodies = match &content.body {
        Body::Text { text, attachments } => split(text, attachments, account)?,
        Body::Choices(choices) => {
            check_choices(choices, account)?;
            vec![content.body.clone()]
        }
        Body::Reaction(reaction) if account.reactions => {
            checks::present("reaction.to", &reaction.to)?;
            vec![content.body.clone()]
        }
        other => return Err(checks::not_carried(other)),
    };
    Ok(checks::parts(bodies, content.reply_to.as_ref()))
}

/// A part must be one that plan made: whole, and within the limits.
///
/// # Errors
/// [`Unsendable`], as plan gives it.
pub fn check_part(content: &Content, planned: &[PlannedPart]) -> Result<(), Unsendable> {
    match planned {
        [part] if part.content == *content => Ok(()),
        parts => Err(Unsendable::TooMany { what: "requests for one part", count: parts.len(), max: 1 }),
    }
}

fn split(text: &str, files: &[Attachment], account: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    checks::words(text, files, account)?;
    files.iter().try_for_each(|file| check_file(file, account))?;
    let words = Some(text).filter(|text| !text.trim().is_empty());
    let words = words.map(checks::text_alone);
    let groups = groups(files, usize::from(account.files_per_part));
    let groups = groups.map(|group| Body::Text { text: String::new(), attachments: group.to_vec() });
    Ok(words.into_iter().chain(groups).collect())
}

/// Neighbouring pictures together, at most `most` of them; every other file for itself.
fn groups(files: &[Attachment], most: usize) -> impl Iterator<Item = &[Attachment]> {
    let together = |one: &Attachment, next: &Attachment| (one.kind, next.kind) == (MediaKind::Image, MediaKind::Image);
    files.chunk_by(together).flat_map(move |run| run.chunks(most.max(1)))
}

/// Type and size as far as they are known; [`check_bytes`] sees the rest when the bytes are there.
fn check_file(file: &Attachment, account: &Capabilities) -> Result<(), Unsendable> {
    let rule = checks::rule(account, file.kind)?;
    if let Some(mime) = &file.mime {
        checks::mime(rule, mime)?;
    }
    match &file.source {
        MediaSource::Url { url } => {
            checks::address("attachment.url", url, &["https"])?;
            check_size(rule, file.size, rule.max_bytes_by_url.unwrap_or(rule.max_bytes))
        }
        MediaSource::Platform { id, .. } => {
            checks::present("attachment.id", id)?;
            check_size(rule, file.size, rule.max_bytes)
        }
        MediaSource::Enclosed { .. } => Err(checks::not_supported("a file that is not stored")),
        MediaSource::Stored { .. } => check_size(rule, file.size, rule.max_bytes),
    }
}

/// The same for bytes in hand.
pub(super) fn check_bytes(kind: MediaKind, mime: &str, size: u64, account: &Capabilities) -> Result<(), Unsendable> {
    let rule = checks::rule(account, kind)?;
    checks::mime(rule, mime)?;
    check_size(rule, Some(size), rule.max_bytes)
}

fn check_size(rule: &MediaRule, size: Option<u64>, max: u64) -> Result<(), Unsendable> {
    match size {
        Some(0) => Err(checks::malformed("attachment", "the file is empty")),
        Some(size) if size > max => Err(Unsendable::MediaSize { kind: rule.kind.as_str(), size, max }),
        _ => Ok(()),
    }
}

/// Whether these buttons can stay under the words; otherwise they are quick replies, which go away with the tap.
pub(super) fn stay(choices: &Choices) -> bool {
    choices.buttons.len() <= MOST_BUTTONS && BUTTON_TEXT.fits(&choices.text)
}

fn check_choices(choices: &Choices, account: &Capabilities) -> Result<(), Unsendable> {
    let Some(rule) = account.choices else { return Err(checks::not_supported("a message with buttons")) };
    if choices.list.is_some() {
        return Err(checks::not_supported("a list to choose from"));
    }
    if choices.header.is_some() || choices.footer.is_some() {
        return Err(checks::not_supported("a line above or below a message with buttons"));
    }
    checks::present("text", &choices.text)?;
    checks::length("text", rule.text, &choices.text)?;
    let (count, most) = (choices.buttons.len(), usize::from(rule.max_buttons));
    if count == 0 {
        return Err(checks::malformed("choices", "give at least one button"));
    }
    checks::at_most("buttons", count, most)?;
    if choices.buttons.iter().any(|button| button.url.is_some()) {
        // An address needs a button that stays.
        checks::length("text above a button with an address", BUTTON_TEXT, &choices.text)?;
        checks::at_most("buttons beside one with an address", count, MOST_BUTTONS)?;
    }
    let mut known = BTreeSet::new();
    for Choice { id, title, url, .. } in &choices.buttons {
        checks::present("button.title", title)?;
        checks::length("button", rule.button_title, title)?;
        match url.as_deref() {
            Some(url) => checks::address("button.url", url, &["https", "http"])?,
            None => {
                checks::present("button.id", id)?;
                checks::length("button id", rule.button_id, id)?;
                if !known.insert(id) {
                    return Err(checks::malformed("choices", "each button needs an id of its own"));
                }
            }
        }
    }
    Ok(())
}
