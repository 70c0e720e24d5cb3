//! Messages made from what a channel says it can carry.

use transom_domain::{
    Attachment, Body, Choice, ChoiceList, ChoiceSection, Choices, ContactCard, Content, Location, MediaKind,
    MediaSource, Reaction, TemplateMessage, TemplateParameters,
};

use super::SampleFiles;
use crate::{Capabilities, ChoiceRule, MediaRule, TextLimit};

/// Words that must arrive as they are: markup, braces, quotes, a character beyond the basic plane, a line end.
pub(super) const WORDS: &str = "Grüße <b>&amp;</b> {{name}} _*`[x](y)~ \"it's\" \\ 100% 😀\nsecond line";

/// What a platform may use to show its customers; never to be found in an error.
pub(super) const PRIVATE: &str = "private: the parcel of Frau Anonyma";

/// Every sort of file there is.
pub(super) const KINDS: [MediaKind; 7] = [
    MediaKind::Image,
    MediaKind::Video,
    MediaKind::Audio,
    MediaKind::Voice,
    MediaKind::Document,
    MediaKind::Sticker,
    MediaKind::Animation,
];

/// A text of exactly the limit, of narrow or of wide characters.
pub(super) fn text_of(limit: TextLimit, wide: bool) -> String {
    let max = limit.max() as usize;
    let (character, width) = match (wide, limit) {
        (false, _) => ("x", 1),
        (true, TextLimit::Scalars(_)) => ("😀", 1),
        (true, TextLimit::Utf16(_)) => ("😀", 2),
        (true, TextLimit::Utf8Bytes(_)) => ("😀", 4),
    };
    character.repeat(max / width) + &"x".repeat(max % width)
}

/// A message with this body that quotes nothing.
pub(super) fn content(body: Body) -> Content {
    Content { body, reply_to: None }
}

/// Words with files.
pub(super) fn with_files(text: impl Into<String>, attachments: Vec<Attachment>) -> Content {
    content(Body::Text { text: text.into(), attachments })
}

/// A MIME type that a rule takes.
pub(super) fn mime_of(rule: &MediaRule) -> String {
    match rule.mimes.first().copied().unwrap_or("application/octet-stream") {
        "*/*" | "application/*" => "application/pdf".to_owned(),
        "image/*" => "image/png".to_owned(),
        "video/*" => "video/mp4".to_owned(),
        "audio/*" => "audio/mpeg".to_owned(),
        "text/*" => "text/plain".to_owned(),
        other => other.replace('*', "x-sample"),
    }
}

/// A file of each sort and type that the channel takes.
pub(super) fn files(capabilities: &Capabilities) -> Vec<Attachment> {
    capabilities.media.iter().map(|rule| SampleFiles::attachment(rule.kind, &mime_of(rule))).collect()
}

/// The same file at a public address.
pub(super) fn at_url(file: Attachment) -> Attachment {
    Attachment { source: MediaSource::Url { url: "https://files.example/sample".to_owned() }, ..file }
}

/// Buttons, as many as there may be unless another number is wanted.
pub(super) fn buttons(rule: &ChoiceRule, count: usize) -> Choices {
    Choices { buttons: choices(rule, count), ..plain_choices() }
}

/// A list of so many rows.
pub(super) fn list(rule: &ChoiceRule, rows: usize) -> Choices {
    let sections = vec![ChoiceSection { title: "All".to_owned(), rows: choices(rule, rows) }];
    Choices { list: Some(ChoiceList { label: "Choose".to_owned(), sections }), ..plain_choices() }
}

fn plain_choices() -> Choices {
    Choices { text: "How was it?".to_owned(), header: None, footer: None, buttons: Vec::new(), list: None }
}

fn choices(rule: &ChoiceRule, count: usize) -> Vec<Choice> {
    let cut = |text: String, limit: TextLimit| text.chars().take(limit.max() as usize).collect::<String>();
    (1..=count)
        .map(|n| Choice {
            id: cut(format!("{n}-choice"), rule.button_id),
            title: cut(format!("{n} choice"), rule.button_title),
            description: None,
            url: None,
        })
        .collect()
}

/// A place, bare or with a name and an address.
pub(super) fn places() -> [Content; 2] {
    let bare = Location { latitude: 48.2083, longitude: 16.3725, name: None, address: None };
    let named =
        Location { name: Some("The shop".to_owned()), address: Some("1 Main Square".to_owned()), ..bare.clone() };
    [content(Body::Location(bare)), content(Body::Location(named))]
}

/// A contact card.
pub(super) fn card() -> Content {
    let card =
        ContactCard { name: "Lost Property".to_owned(), phones: vec!["+15005550006".to_owned()], emails: Vec::new() };
    content(Body::Contacts { contacts: vec![card] })
}

/// An emoji put to a message, or taken back.
pub(super) fn reaction(to: &str, emoji: Option<&str>) -> Content {
    content(Body::Reaction(Reaction { to: to.to_owned(), emoji: emoji.map(str::to_owned) }))
}

/// A template that no platform has.
pub(super) fn invented_template() -> Content {
    Content::template(TemplateMessage {
        name: "a_template_that_is_not_there".to_owned(),
        language: "en".to_owned(),
        category: "utility".to_owned(),
        parameters: TemplateParameters::default(),
        rendered: None,
        buttons: Vec::new(),
    })
}

/// Messages with every mixture of words and files that the channel takes.
pub(super) fn mixtures(capabilities: &Capabilities, quotable: Option<&str>) -> Vec<Content> {
    let files = files(capabilities);
    let mut texts = vec![String::new(), "Here it is.".to_owned(), text_of(capabilities.text, false)];
    if let Some(caption) = capabilities.caption {
        let at = text_of(caption, true);
        let over = format!("{at}x");
        texts.extend([at, over].into_iter().filter(|text| capabilities.text.fits(text)));
    }
    let mut mixtures = vec![Content::text("No file at all.")];
    for text in &texts {
        mixtures.extend(files.iter().map(|file| with_files(text.clone(), vec![file.clone()])));
        if !files.is_empty() {
            // All of them, and all of them again the other way round: more than any one request takes.
            let twice = files.iter().chain(files.iter().rev()).cloned().collect();
            mixtures.push(with_files(text.clone(), twice));
        }
    }
    if let (true, Some(quotable)) = (capabilities.quotes, quotable) {
        let quoting: Vec<Content> = mixtures
            .iter()
            .cloned()
            .map(|mixture| Content { reply_to: Some(quotable.to_owned()), ..mixture })
            .collect();
        mixtures.extend(quoting);
    }
    mixtures
}
