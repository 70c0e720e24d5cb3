//! Content to requests: what is split, what is refused, and how it is written. Pure.

use std::collections::BTreeSet;

use transom_channel::{MediaRule, OutboundPart, PlannedPart, Unsendable, checks};
use transom_domain::{
    Attachment, Body, Choice, ChoiceList, Choices, ContactCard, Content, Identity, Location, MediaKind, MediaSource,
};

use crate::capabilities::{
    self, BSUID, BUTTON_ID, BUTTON_TITLE, CAPTION, CHOICE_LINE, CHOICE_TEXT, MAX_BUTTONS, MAX_ROWS, PHONE,
    ROW_DESCRIPTION, ROW_ID, ROW_TITLE, TEXT,
};
use crate::template;
use crate::wire::{
    Action, Addressee, Answer, Button, Card, CardEmail, CardName, CardPhone, File, FileRef, Interactive, Line,
    LinkButton, Message, Place, Quoted, Reaction, Request, Section, Text, TextHeader,
};

/// One part a request: words with one file at most, in the order in which they were given.
///
/// Words go as the caption of the first file where it can have one, else before the files. A quote stays on the first part.
pub(crate) fn plan(content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
    let bodies = match &content.body {
        Body::Text { text, attachments } => split(text, attachments)?,
        Body::Template(template) => {
            template::check(template)?;
            if let Some(file) = template::header_file(template) {
                check_file(file)?;
            }
            vec![content.body.clone()]
        }
        Body::Choices(choices) => {
            check_choices(choices)?;
            vec![content.body.clone()]
        }
        Body::Location(place) => {
            checks::place(place)?;
            vec![content.body.clone()]
        }
        Body::Contacts { contacts } => {
            check_cards(contacts)?;
            vec![content.body.clone()]
        }
        Body::Reaction(reaction) => {
            checks::present("reaction.to", &reaction.to)?;
            vec![content.body.clone()]
        }
        Body::Mail(_) | Body::Unsupported { .. } => return Err(checks::not_carried(&content.body)),
    };
    Ok(checks::parts(bodies, content.reply_to.as_ref()))
}

fn split(text: &str, attachments: &[Attachment]) -> Result<Vec<Body>, Unsendable> {
    let with_file =
        |text: &str, file: &Attachment| Body::Text { text: text.to_owned(), attachments: vec![file.clone()] };
    attachments.iter().try_for_each(check_file)?;
    match attachments {
        [] if text.trim().is_empty() => Err(Unsendable::Empty),
        [first, rest @ ..] if text.is_empty() || (takes_caption(first) && CAPTION.fits(text)) => {
            Ok(std::iter::once(with_file(text, first)).chain(rest.iter().map(|file| with_file("", file))).collect())
        }
        files => {
            checks::length("text", TEXT, text)?;
            Ok(std::iter::once(checks::text_alone(text)).chain(files.iter().map(|file| with_file("", file))).collect())
        }
    }
}

fn rule_of(kind: MediaKind) -> Result<MediaRule, Unsendable> {
    let rule = capabilities::media().into_iter().find(|rule| rule.kind == kind);
    rule.ok_or_else(|| checks::not_supported(format!("a file of kind `{}`", kind.as_str())))
}

fn takes_caption(file: &Attachment) -> bool {
    rule_of(file.kind).is_ok_and(|rule| rule.caption)
}

/// Type and size as far as they are known; [`check_bytes`] sees the rest when the bytes are there.
fn check_file(file: &Attachment) -> Result<(), Unsendable> {
    let rule = rule_of(file.kind)?;
    if let Some(mime) = &file.mime {
        checks::mime(&rule, mime)?;
    }
    if let Some(size) = file.size {
        check_size(&rule, size)?;
    }
    match &file.source {
        MediaSource::Url { url } => checks::address("attachment.url", url, &["https"]),
        MediaSource::Platform { id, .. } => checks::present("attachment.id", id),
        MediaSource::Enclosed { .. } => Err(checks::not_supported("a file that is not stored")),
        MediaSource::Stored { .. } => Ok(()),
    }
}

/// The same for bytes in hand.
pub(crate) fn check_bytes(kind: MediaKind, mime: &str, size: u64) -> Result<(), Unsendable> {
    let rule = rule_of(kind)?;
    checks::mime(&rule, mime)?;
    check_size(&rule, size)
}

fn check_size(rule: &MediaRule, size: u64) -> Result<(), Unsendable> {
    if size == 0 { Err(checks::malformed("attachment", "the file is empty")) } else { checks::size(rule, size) }
}

fn check_choices(choices: &Choices) -> Result<(), Unsendable> {
    checks::present("text", &choices.text)?;
    checks::length("text", CHOICE_TEXT, &choices.text)?;
    for (place, line) in [("header", &choices.header), ("footer", &choices.footer)] {
        if let Some(line) = line {
            checks::present(place, line)?;
            checks::length(place, CHOICE_LINE, line)?;
        }
    }
    match (&choices.list, choices.buttons.as_slice()) {
        (Some(_), [_, ..]) => Err(checks::malformed("choices", "give buttons or a list, not both")),
        (Some(list), []) => check_list(list),
        (None, []) => Err(checks::malformed("choices", "give at least one button or a list")),
        (None, [button]) if button.url.is_some() => check_link(button),
        (None, buttons) => check_buttons(buttons),
    }
}

fn check_link(button: &Choice) -> Result<(), Unsendable> {
    checks::present("button.title", &button.title)?;
    checks::length("button", BUTTON_TITLE, &button.title)?;
    match button.url.as_deref() {
        Some(url) => checks::address("button.url", url, &["https", "http"]),
        None => Err(checks::malformed("button.url", "an address is needed")),
    }
}

fn check_buttons(buttons: &[Choice]) -> Result<(), Unsendable> {
    checks::at_most("buttons", buttons.len(), MAX_BUTTONS)?;
    if buttons.iter().any(|button| button.url.is_some()) {
        return Err(checks::not_supported("a button with an address beside other buttons"));
    }
    for button in buttons {
        checks::present("button.id", &button.id)?;
        checks::length("button id", BUTTON_ID, &button.id)?;
        checks::present("button.title", &button.title)?;
        checks::length("button", BUTTON_TITLE, &button.title)?;
    }
    distinct(buttons.iter())
}

fn check_list(list: &ChoiceList) -> Result<(), Unsendable> {
    checks::present("list.label", &list.label)?;
    checks::length("list label", BUTTON_TITLE, &list.label)?;
    checks::at_most("sections", list.sections.len(), MAX_ROWS)?;
    let rows = || list.sections.iter().flat_map(|section| &section.rows);
    checks::at_most("rows", rows().count(), MAX_ROWS)?;
    for section in &list.sections {
        if list.sections.len() > 1 {
            checks::present("section.title", &section.title)?;
        }
        checks::length("section title", ROW_TITLE, &section.title)?;
        if section.rows.is_empty() {
            return Err(checks::malformed("section.rows", "a section needs at least one row"));
        }
    }
    if rows().next().is_none() {
        return Err(checks::malformed("list.sections", "a list needs at least one row"));
    }
    for row in rows() {
        if row.url.is_some() {
            return Err(checks::not_supported("a row with an address"));
        }
        checks::present("row.id", &row.id)?;
        checks::length("row id", ROW_ID, &row.id)?;
        checks::present("row.title", &row.title)?;
        checks::length("row title", ROW_TITLE, &row.title)?;
        checks::length("row description", ROW_DESCRIPTION, row.description.as_deref().unwrap_or_default())?;
    }
    distinct(rows())
}

fn distinct<'c>(choices: impl Iterator<Item = &'c Choice>) -> Result<(), Unsendable> {
    let mut known = BTreeSet::new();
    let all_new = choices.map(|choice| choice.id.as_str()).all(|id| known.insert(id));
    if all_new { Ok(()) } else { Err(checks::malformed("choices", "each choice needs an id of its own")) }
}

fn check_cards(cards: &[ContactCard]) -> Result<(), Unsendable> {
    if cards.is_empty() {
        return Err(Unsendable::Empty);
    }
    cards.iter().try_for_each(|card| checks::present("contact.name", &card.name))
}

/// Whom to write to: the phone where it is known, else the business-scoped user id.
///
/// Authentication templates go to phones only (whatsapp.md 5).
pub(crate) fn addressee(identity: &Identity, content: &Content) -> Result<Addressee, Unsendable> {
    if let Some(phone) = identity.address(PHONE) {
        return with_plus(phone)
            .map(Addressee::To)
            .ok_or_else(|| checks::malformed("identity.phone", "a phone number is a plus sign and 5 to 15 digits"));
    }
    let needs_phone = content.as_template().is_some_and(|template| template.category == "authentication");
    match identity.address(BSUID) {
        Some(_) if needs_phone => {
            Err(checks::malformed("identity.phone", "an authentication template goes to a phone number only"))
        }
        Some(id) if !id.trim().is_empty() => Ok(Addressee::Recipient(id.to_owned())),
        _ => Err(checks::malformed("identity", "WhatsApp needs a phone number or a business-scoped user id")),
    }
}

/// A phone number as `to` wants it: digits behind a plus sign, which is put there if it is missing.
pub(crate) fn with_plus(phone: &str) -> Option<String> {
    let digits: String = phone
        .trim()
        .strip_prefix('+')
        .unwrap_or(phone.trim())
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '\u{a0}'))
        .collect();
    let is_number = (5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| format!("+{digits}"))
}

/// The file whose bytes a request needs: the part's own, or that of a template's header.
pub(crate) fn file_of(content: &Content) -> Option<&Attachment> {
    match &content.body {
        Body::Text { attachments, .. } => attachments.first(),
        Body::Template(template) => template::header_file(template),
        _ => None,
    }
}

/// The request for a part that [`plan`] made. `file` is where the platform finds the part's file.
pub(crate) fn request(part: &OutboundPart, to: Addressee, file: Option<FileRef>) -> Result<Request<'_>, Unsendable> {
    let content = part.content();
    Ok(Request {
        messaging_product: "whatsapp",
        recipient_type: "individual",
        to,
        context: content.reply_to.as_deref().map(|message_id| Quoted { message_id }),
        biz_opaque_callback_data: part.correlation(),
        message: message(content, file)?,
    })
}

/// What a part says, as the platform wants it.
pub(crate) fn message(content: &Content, file: Option<FileRef>) -> Result<Message<'_>, Unsendable> {
    Ok(match &content.body {
        Body::Text { text, attachments } => match (attachments.as_slice(), file) {
            ([], _) => Message::Text { text: Text { preview_url: false, body: text } },
            ([attachment], Some(source)) => with_file(attachment, source, text),
            _ => return Err(checks::malformed("attachments", "a request carries one file")),
        },
        Body::Template(template) => Message::Template { template: template::write(template, file)? },
        Body::Choices(choices) => Message::Interactive { interactive: interactive(choices) },
        Body::Location(place) => Message::Location { location: location(place) },
        Body::Contacts { contacts } => Message::Contacts { contacts: contacts.iter().map(card).collect() },
        Body::Reaction(reaction) => Message::Reaction {
            reaction: Reaction { message_id: &reaction.to, emoji: reaction.emoji.as_deref().unwrap_or_default() },
        },
        Body::Mail(_) | Body::Unsupported { .. } => return Err(checks::not_carried(&content.body)),
    })
}

fn with_file<'m>(attachment: &'m Attachment, source: FileRef, text: &'m str) -> Message<'m> {
    let caption = Some(text).filter(|text| !text.is_empty());
    let bare = File { source, caption: None, filename: None, voice: None };
    match attachment.kind {
        MediaKind::Image => Message::Image { image: File { caption, ..bare } },
        MediaKind::Video | MediaKind::Animation => Message::Video { video: File { caption, ..bare } },
        MediaKind::Audio => Message::Audio { audio: bare },
        MediaKind::Voice => Message::Audio { audio: File { voice: Some(true), ..bare } },
        MediaKind::Document => {
            Message::Document { document: File { caption, filename: attachment.file_name.as_deref(), ..bare } }
        }
        MediaKind::Sticker => Message::Sticker { sticker: bare },
    }
}

fn interactive(choices: &Choices) -> Interactive<'_> {
    let (kind, action) = match (&choices.list, choices.buttons.as_slice()) {
        (Some(list), _) => ("list", Action::List { button: &list.label, sections: sections(list) }),
        (None, [Choice { url: Some(url), title, .. }]) => {
            let parameters = LinkButton { display_text: title, url };
            ("cta_url", Action::Link { name: "cta_url", parameters })
        }
        (None, buttons) => ("button", Action::Buttons { buttons: buttons.iter().map(button).collect() }),
    };
    Interactive {
        kind,
        header: choices.header.as_deref().map(|text| TextHeader { kind: "text", text }),
        body: Line { text: &choices.text },
        footer: choices.footer.as_deref().map(|text| Line { text }),
        action,
    }
}

fn button(choice: &Choice) -> Button<'_> {
    Button { kind: "reply", reply: Answer { id: &choice.id, title: &choice.title, description: None } }
}

fn sections(list: &ChoiceList) -> Vec<Section<'_>> {
    list.sections
        .iter()
        .map(|section| Section { title: &section.title, rows: section.rows.iter().map(row).collect() })
        .collect()
}

fn row(row: &Choice) -> Answer<'_> {
    let description = row.description.as_deref().filter(|text| !text.is_empty());
    Answer { id: &row.id, title: &row.title, description }
}

pub(crate) fn location(place: &Location) -> Place<'_> {
    Place {
        latitude: place.latitude,
        longitude: place.longitude,
        name: place.name.as_deref(),
        address: place.address.as_deref(),
    }
}

fn card(card: &ContactCard) -> Card<'_> {
    Card {
        name: CardName { formatted_name: &card.name, first_name: &card.name },
        phones: card.phones.iter().map(|phone| CardPhone { phone }).collect(),
        emails: card.emails.iter().map(|email| CardEmail { email }).collect(),
    }
}

#[cfg(test)]
mod tests;
