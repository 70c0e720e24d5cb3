//! From content to parts and from parts to requests: what fits, what is refused, one part for each request.

use transom_channel::{Capabilities, PlannedPart, Unsendable, checks};
use transom_domain::{Attachment, Body, ContactCard, Content, Location, MediaKind, MediaSource};
use url::Url;

use crate::capabilities::{CARD_NAME, CARD_PHONE, FILE_NAME, MAX_CONTENT_BYTES};
use crate::wire::{Card, Outgoing, Place};

/// Endings that Viber refuses in a file's name (2.4): programs, scripts and what starts them.
const FORBIDDEN: [&str; 41] = [
    "action", "apk", "app", "bat", "bin", "cmd", "com", "command", "cpl", "csh", "exe", "gadget", "inf1", "ins", "inx",
    "ipa", "isu", "job", "jse", "ksh", "lnk", "msc", "msi", "msp", "mst", "osx", "out", "paf", "pif", "prg", "ps1",
    "reg", "rgs", "run", "sct", "shb", "shs", "vb", "vbe", "vbs", "wsf",
];

/// A request's content, or the file that it still has to be made of.
#[derive(Debug)]
pub(crate) enum Draft {
    /// Ready to go.
    Ready(Outgoing),
    /// A file, whose public address must be found first, with its words.
    File {
        /// The file.
        file: Attachment,
        /// Words for below a picture.
        text: String,
    },
}

/// Splits content into requests. Files go one by one, a picture with the words where they fit, else the words go first.
pub(crate) fn plan(content: &Content, known: &Capabilities) -> Result<Vec<PlannedPart>, Unsendable> {
    if content.reply_to.is_some() {
        return Err(checks::not_supported("quotes"));
    }
    let bodies = match &content.body {
        Body::Text { text, attachments } => {
            checks::words(text, attachments, known)?;
            check_bytes(text)?;
            attachments.iter().try_for_each(|file| check_file(file, known))?;
            checks::one_by_one(text, attachments, known)
        }
        Body::Location(place) => place_and_name(place, known)?,
        Body::Contacts { contacts } => cards(contacts)?,
        other => return Err(checks::not_carried(other)),
    };
    Ok(checks::parts(bodies, None))
}

/// The request for a part; `None` for content that is no part of a plan.
pub(crate) fn draft(content: &Content) -> Option<Draft> {
    let ready = match &content.body {
        Body::Text { text, attachments } => match attachments.as_slice() {
            [] => Outgoing::Text { text: text.clone() },
            [file] => return Some(Draft::File { file: file.clone(), text: text.clone() }),
            _ => return None,
        },
        Body::Location(place) => Outgoing::Location { location: Place { lat: place.latitude, lon: place.longitude } },
        Body::Contacts { contacts } => {
            let card = contacts.first()?;
            let phone_number = card.phones.first()?.clone();
            Outgoing::Contact { contact: Card { name: card.name.clone(), phone_number } }
        }
        _ => return None,
    };
    Some(Draft::Ready(ready))
}

fn check_file(file: &Attachment, known: &Capabilities) -> Result<(), Unsendable> {
    checks::stated(checks::rule(known, file.kind)?, file)?;
    checks::own_file(file, &["https"])?;
    match &file.source {
        MediaSource::Url { url } => {
            let address = Url::parse(url).map_err(|error| checks::malformed("attachment", error))?;
            check_ending(file.kind, &address)?;
            // Nobody but the sender knows the size of what lies elsewhere, and Viber wants it (2.4).
            if needs_size(file.kind) && file.size.is_none() {
                return Err(checks::malformed(
                    "attachment.size",
                    "the size in bytes is needed with a film or file by address",
                ));
            }
            if needs_name(file.kind) { check_name(&name_of(file, &address)?) } else { Ok(()) }
        }
        _ => match &file.file_name {
            Some(name) if needs_name(file.kind) => check_name(name),
            _ => Ok(()),
        },
    }
}

/// The request for a file, now that its public address and, where it is needed, its size are known.
pub(crate) fn outgoing(file: &Attachment, text: String, address: &Url, size: u64) -> Result<Outgoing, Unsendable> {
    check_ending(file.kind, address)?;
    let media = String::from(address.clone());
    Ok(match file.kind {
        MediaKind::Image => Outgoing::Picture { text, media },
        MediaKind::Video | MediaKind::Animation => Outgoing::Video { media, size },
        _ => {
            let file_name = name_of(file, address)?;
            check_name(&file_name)?;
            Outgoing::File { media, size, file_name }
        }
    })
}

/// Films and files tell their size (2.4).
pub(crate) fn needs_size(kind: MediaKind) -> bool {
    kind != MediaKind::Image
}

fn needs_name(kind: MediaKind) -> bool {
    !matches!(kind, MediaKind::Image | MediaKind::Video | MediaKind::Animation)
}

/// The name of a file: its own, else the last piece of its address.
fn name_of(file: &Attachment, address: &Url) -> Result<String, Unsendable> {
    let last = || address.path_segments().and_then(|mut pieces| pieces.next_back()).map(str::to_owned);
    let name = file.file_name.clone().or_else(last).filter(|name| !name.trim().is_empty());
    name.ok_or_else(|| checks::malformed("attachment.file_name", "a name with an ending is needed"))
}

fn check_name(name: &str) -> Result<(), Unsendable> {
    checks::length("file name", FILE_NAME, name)?;
    match ending(name) {
        None => Err(checks::malformed("attachment.file_name", "a name with an ending, such as `.pdf`, is needed")),
        Some(ending) if FORBIDDEN.contains(&ending.as_str()) => Err(checks::malformed(
            "attachment.file_name",
            format_args!("Viber takes no programs and scripts (.{ending})"),
        )),
        Some(_) => Ok(()),
    }
}

/// Pictures and films are told by the ending of their address (2.4).
fn check_ending(kind: MediaKind, address: &Url) -> Result<(), Unsendable> {
    let wanted: &[&str] = match kind {
        MediaKind::Image => &["jpeg", "jpg", "png", "gif"],
        MediaKind::Video | MediaKind::Animation => &["mp4"],
        _ => return Ok(()),
    };
    let found = ending(address.path()).is_some_and(|ending| wanted.contains(&ending.as_str()));
    if found {
        return Ok(());
    }
    Err(checks::malformed(
        "attachment",
        format_args!("the address of a {} must end in .{}", kind.as_str(), wanted.join(", .")),
    ))
}

fn ending(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    (!stem.is_empty() && !ending.is_empty() && !ending.contains('/')).then(|| ending.to_ascii_lowercase())
}

/// A place has no name here: it goes as a text behind it.
fn place_and_name(place: &Location, known: &Capabilities) -> Result<Vec<Body>, Unsendable> {
    checks::place(place)?;
    let lines = [place.name.as_deref(), place.address.as_deref()];
    let words = lines.into_iter().flatten().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n");
    let mut bodies = vec![Body::Location(Location { name: None, address: None, ..place.clone() })];
    if !words.is_empty() {
        checks::length("location", known.text, &words)?;
        check_bytes(&words)?;
        bodies.push(checks::text_alone(&words));
    }
    Ok(bodies)
}

/// Each number is a card of its own.
fn cards(contacts: &[ContactCard]) -> Result<Vec<Body>, Unsendable> {
    if contacts.is_empty() {
        return Err(Unsendable::Empty);
    }
    let mut bodies = Vec::new();
    for card in contacts {
        if !card.emails.is_empty() {
            return Err(checks::not_supported("email addresses on contact cards"));
        }
        if card.name.trim().is_empty() || card.phones.is_empty() {
            return Err(checks::malformed("contacts", "each card needs a name and a phone number"));
        }
        checks::length("card name", CARD_NAME, &card.name)?;
        for phone in &card.phones {
            if phone.trim().is_empty() {
                return Err(checks::malformed("contacts", "a phone number is empty"));
            }
            checks::length("card number", CARD_PHONE, phone)?;
            let card = ContactCard { phones: vec![phone.clone()], ..card.clone() };
            bodies.push(Body::Contacts { contacts: vec![card] });
        }
    }
    Ok(bodies)
}

/// The whole request is at most 30 KB of JSON (2.2), in which some characters take more room than others.
fn check_bytes(text: &str) -> Result<(), Unsendable> {
    let written = serde_json::to_string(text).map_or(usize::MAX, |json| json.len());
    if written <= MAX_CONTENT_BYTES {
        return Ok(());
    }
    let max = u32::try_from(MAX_CONTENT_BYTES).unwrap_or(u32::MAX);
    Err(Unsendable::TooLong { place: "text", length: written as u64, max, unit: "bytes of JSON" })
}

#[cfg(test)]
mod tests;
