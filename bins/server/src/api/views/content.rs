//! What messages say, in and out.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object, Union};
use transom_domain::template::{HeaderParameter, TextParameters};
use transom_domain::{
    Attachment, Body, Choice, ChoiceList, ChoiceSection, Choices, ContactCard, Content, Location, Mail, MediaKind,
    MediaSource, TemplateMessage, TemplateParameters,
};
use transom_storage::AttachmentState;
use uuid::Uuid;

use super::file::FileView;
use crate::http::problem::Problem;

/// What a file is to the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "MediaKind")]
pub(crate) enum MediaWord {
    /// A still picture.
    Image,
    /// A film.
    Video,
    /// Sound.
    Audio,
    /// Sound recorded as a message.
    Voice,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
    /// A short silent film.
    Animation,
}

impl From<MediaWord> for MediaKind {
    fn from(word: MediaWord) -> Self {
        match word {
            MediaWord::Image => MediaKind::Image,
            MediaWord::Video => MediaKind::Video,
            MediaWord::Audio => MediaKind::Audio,
            MediaWord::Voice => MediaKind::Voice,
            MediaWord::Document => MediaKind::Document,
            MediaWord::Sticker => MediaKind::Sticker,
            MediaWord::Animation => MediaKind::Animation,
        }
    }
}

impl From<MediaKind> for MediaWord {
    fn from(kind: MediaKind) -> Self {
        match kind {
            MediaKind::Image => MediaWord::Image,
            MediaKind::Video => MediaWord::Video,
            MediaKind::Audio => MediaWord::Audio,
            MediaKind::Voice => MediaWord::Voice,
            MediaKind::Document => MediaWord::Document,
            MediaKind::Sticker => MediaWord::Sticker,
            MediaKind::Animation => MediaWord::Animation,
        }
    }
}

/// A file to send.
#[derive(Debug, Object)]
#[oai(rename = "NewAttachment", deny_unknown_fields)]
pub(crate) struct NewAttachment {
    /// What it is to the reader.
    pub(crate) kind: MediaWord,
    /// An uploaded file, or one that a customer sent; or else `url`.
    pub(crate) id: Option<Uuid>,
    /// A public address from which the platform fetches it.
    #[oai(validator(min_length = 8, max_length = 2_048))]
    pub(crate) url: Option<String>,
    /// MIME type without parameters, where it is known; that of a file with an `id` is.
    #[oai(validator(max_length = 128))]
    pub(crate) mime: Option<String>,
    /// The file's name as the customer sees it.
    #[oai(validator(max_length = 255))]
    pub(crate) file_name: Option<String>,
}

impl TryFrom<NewAttachment> for Attachment {
    type Error = Problem;

    fn try_from(new: NewAttachment) -> Result<Self, Problem> {
        let NewAttachment { kind, id, url, mime, file_name } = new;
        let source = match (id, url) {
            (Some(id), None) => MediaSource::Stored { id: id.into() },
            (None, Some(url)) => MediaSource::Url { url },
            (None, None) | (Some(_), Some(_)) => {
                let detail = "give the `id` of an uploaded file, or a public `url`";
                return Err(Problem::new("attachment_ambiguous", detail).at("attachments"));
            }
        };
        Ok(Attachment { kind: kind.into(), source, mime, file_name, size: None })
    }
}

/// A file of a message.
#[derive(Debug, Object)]
#[oai(rename = "Attachment", skip_serializing_if_is_none)]
pub(crate) struct AttachmentView {
    /// What it is to the reader.
    kind: MediaWord,
    /// A public address, if it was given by one.
    url: Option<String>,
    /// The file, if it is ours: `GET /v1/attachments/{id}`.
    id: Option<Uuid>,
    /// `stored`, `remote` (a customer sent it, and it is being fetched) or `failed`; left out for what is not ours.
    state: Option<String>,
    /// Why it can't be had, or why the last try failed.
    reason: Option<String>,
    /// Where its bytes can be read without a token, for a while; left out while they are not here.
    content_url: Option<String>,
    /// The platform's id, for what is not ours.
    platform_id: Option<String>,
    /// MIME type without parameters, where it is known.
    mime: Option<String>,
    /// The file's name.
    file_name: Option<String>,
    /// Size in bytes, where it is known.
    size: Option<u64>,
}

impl From<&Attachment> for AttachmentView {
    fn from(attachment: &Attachment) -> Self {
        let (url, id, platform_id) = match &attachment.source {
            MediaSource::Url { url } => (Some(url.clone()), None, None),
            MediaSource::Stored { id } => (None, Some(id.uuid()), None),
            // The platform's own address needs its credentials, and lasts for minutes.
            MediaSource::Platform { id, .. } => (None, None, Some(id.clone())),
            MediaSource::Enclosed { .. } => (None, None, None),
        };
        // It came with its message, to a service that keeps no files.
        let lost = matches!(attachment.source, MediaSource::Enclosed { .. });
        Self {
            kind: attachment.kind.into(),
            url,
            id,
            state: lost.then(|| AttachmentState::Failed.as_str().to_owned()),
            reason: lost.then(|| "no_file_store".to_owned()),
            content_url: None,
            platform_id,
            mime: attachment.mime.clone(),
            file_name: attachment.file_name.clone(),
            size: attachment.size,
        }
    }
}

impl AttachmentView {
    /// With what is known of the file: what that says of itself goes before what was said of it.
    fn complete(&mut self, look: &dyn Fn(Uuid) -> Option<FileView>) {
        let Some(file) = self.id.and_then(look) else { return };
        self.mime = file.mime.or(self.mime.take());
        self.size = file.size.or(self.size);
        self.file_name = self.file_name.take().or(file.file_name);
        (self.state, self.reason, self.content_url) = (Some(file.state), file.reason, file.content_url);
    }
}

/// Words with something to choose from.
#[derive(Debug, Object)]
#[oai(rename = "Choices", deny_unknown_fields, skip_serializing_if_is_none)]
pub(crate) struct ChoicesBody {
    /// The words.
    text: String,
    /// A title line above.
    header: Option<String>,
    /// A small line below.
    footer: Option<String>,
    /// Buttons; exclusive with `list`.
    #[oai(default, validator(max_items = 100))]
    buttons: Vec<ChoiceBody>,
    /// A list that unfolds from a button.
    list: Option<ChoiceListBody>,
}

/// One thing to choose.
#[derive(Debug, Object)]
#[oai(rename = "Choice", deny_unknown_fields, skip_serializing_if_is_none)]
struct ChoiceBody {
    /// What comes back when it is chosen.
    id: String,
    /// What the customer reads.
    title: String,
    /// A second line, in lists.
    description: Option<String>,
    /// An address to open instead of an answer.
    url: Option<String>,
}

/// A list that unfolds from a button.
#[derive(Debug, Object)]
#[oai(rename = "ChoiceList", deny_unknown_fields)]
struct ChoiceListBody {
    /// What the button says.
    label: String,
    /// Groups of choices.
    #[oai(validator(max_items = 100))]
    sections: Vec<ChoiceSectionBody>,
}

/// A titled group of choices.
#[derive(Debug, Object)]
#[oai(rename = "ChoiceSection", deny_unknown_fields)]
struct ChoiceSectionBody {
    /// The title.
    title: String,
    /// The choices.
    #[oai(validator(max_items = 100))]
    rows: Vec<ChoiceBody>,
}

impl From<ChoicesBody> for Choices {
    fn from(body: ChoicesBody) -> Self {
        let choice = |ChoiceBody { id, title, description, url }: ChoiceBody| Choice { id, title, description, url };
        let rows = |rows: Vec<ChoiceBody>| rows.into_iter().map(choice).collect();
        let section = |section: ChoiceSectionBody| ChoiceSection { title: section.title, rows: rows(section.rows) };
        Choices {
            text: body.text,
            header: body.header,
            footer: body.footer,
            buttons: rows(body.buttons),
            list: body.list.map(|list| ChoiceList {
                label: list.label,
                sections: list.sections.into_iter().map(section).collect(),
            }),
        }
    }
}

impl From<&Choices> for ChoicesBody {
    fn from(choices: &Choices) -> Self {
        let choice = |choice: &Choice| ChoiceBody {
            id: choice.id.clone(),
            title: choice.title.clone(),
            description: choice.description.clone(),
            url: choice.url.clone(),
        };
        let section = |section: &ChoiceSection| ChoiceSectionBody {
            title: section.title.clone(),
            rows: section.rows.iter().map(choice).collect(),
        };
        Self {
            text: choices.text.clone(),
            header: choices.header.clone(),
            footer: choices.footer.clone(),
            buttons: choices.buttons.iter().map(choice).collect(),
            list: choices.list.as_ref().map(|list| ChoiceListBody {
                label: list.label.clone(),
                sections: list.sections.iter().map(section).collect(),
            }),
        }
    }
}

/// A place on earth.
#[derive(Debug, Object)]
#[oai(rename = "Location", deny_unknown_fields, skip_serializing_if_is_none)]
pub(crate) struct LocationBody {
    /// Degrees, north positive.
    #[oai(validator(minimum(value = "-90"), maximum(value = "90")))]
    latitude: f64,
    /// Degrees, east positive.
    #[oai(validator(minimum(value = "-180"), maximum(value = "180")))]
    longitude: f64,
    /// Its name.
    name: Option<String>,
    /// Its postal address.
    address: Option<String>,
}

impl From<LocationBody> for Location {
    fn from(LocationBody { latitude, longitude, name, address }: LocationBody) -> Self {
        Location { latitude, longitude, name, address }
    }
}

impl From<&Location> for LocationBody {
    fn from(place: &Location) -> Self {
        Self {
            latitude: place.latitude,
            longitude: place.longitude,
            name: place.name.clone(),
            address: place.address.clone(),
        }
    }
}

/// A card with a person's name and numbers.
#[derive(Debug, Object)]
#[oai(rename = "ContactCard", deny_unknown_fields)]
pub(crate) struct ContactCardBody {
    /// The full name.
    name: String,
    /// Phone numbers.
    #[oai(default)]
    phones: Vec<String>,
    /// Email addresses.
    #[oai(default)]
    emails: Vec<String>,
}

impl From<ContactCardBody> for ContactCard {
    fn from(ContactCardBody { name, phones, emails }: ContactCardBody) -> Self {
        ContactCard { name, phones, emails }
    }
}

impl From<&ContactCard> for ContactCardBody {
    fn from(card: &ContactCard) -> Self {
        Self { name: card.name.clone(), phones: card.phones.clone(), emails: card.emails.clone() }
    }
}

/// An emoji put to a message.
#[derive(Debug, Object)]
#[oai(rename = "Reaction", skip_serializing_if_is_none)]
struct ReactionBody {
    /// The platform's id of the message.
    to: String,
    /// The emoji; left out when an earlier one was taken back.
    emoji: Option<String>,
}

/// Values for placeholders: a list for `{{1}}`, `{{2}}`, …, or an object for `{{first_name}}`.
#[derive(Debug, Union)]
#[oai(rename = "TextParameters", one_of)]
enum TextParametersBody {
    /// In order, from `{{1}}`.
    Positional(Vec<String>),
    /// By name.
    Named(BTreeMap<String, String>),
}

impl From<TextParametersBody> for TextParameters {
    fn from(body: TextParametersBody) -> Self {
        match body {
            TextParametersBody::Positional(values) => TextParameters::Positional(values),
            TextParametersBody::Named(values) => TextParameters::Named(values),
        }
    }
}

impl From<&TextParameters> for TextParametersBody {
    fn from(parameters: &TextParameters) -> Self {
        match parameters {
            TextParameters::Positional(values) => TextParametersBody::Positional(values.clone()),
            TextParameters::Named(values) => TextParametersBody::Named(values.clone()),
        }
    }
}

/// The values for one send of a template.
#[derive(Debug, Object)]
#[oai(rename = "TemplateParameters", deny_unknown_fields, skip_serializing_if_is_none)]
pub(crate) struct TemplateParametersBody {
    /// For the header.
    header: Option<HeaderParameterBody>,
    /// For the body.
    body: Option<TextParametersBody>,
    /// For the buttons: place of the button (from 0) to its payload, address ending or code.
    buttons: Option<BTreeMap<String, String>>,
}

/// The value for a template's header: one of the three.
#[derive(Debug, Object)]
#[oai(rename = "HeaderParameter", deny_unknown_fields, skip_serializing_if_is_none)]
struct HeaderParameterBody {
    /// Values for a header of words.
    text: Option<TextParametersBody>,
    /// A picture, film or file.
    media: Option<NewAttachment>,
    /// A place.
    location: Option<LocationBody>,
}

impl TryFrom<TemplateParametersBody> for TemplateParameters {
    type Error = Problem;

    fn try_from(body: TemplateParametersBody) -> Result<Self, Problem> {
        let wrong = |field: &str| {
            let detail = "give one of text, media, location for the header; buttons are counted from 0";
            Problem::new("template_parameters", detail).at(field)
        };
        let header = match body.header {
            None => None,
            Some(HeaderParameterBody { text: Some(text), media: None, location: None }) => {
                Some(HeaderParameter::Text(text.into()))
            }
            Some(HeaderParameterBody { text: None, media: Some(media), location: None }) => {
                Some(HeaderParameter::Media(media.try_into()?))
            }
            Some(HeaderParameterBody { text: None, media: None, location: Some(place) }) => {
                Some(HeaderParameter::Location(place.into()))
            }
            Some(_) => return Err(wrong("template.parameters.header")),
        };
        let mut buttons = BTreeMap::new();
        for (place, value) in body.buttons.unwrap_or_default() {
            buttons.insert(place.parse().map_err(|_| wrong("template.parameters.buttons"))?, value);
        }
        Ok(TemplateParameters { header, body: body.body.map(Into::into).unwrap_or_default(), buttons })
    }
}

/// A template that was sent.
#[derive(Debug, Object)]
#[oai(rename = "SentTemplate", skip_serializing_if_is_none)]
struct SentTemplateView {
    /// Its name.
    name: String,
    /// Its language.
    language: String,
    /// Its category at that time.
    category: String,
    /// The values of its text.
    body: Option<TextParametersBody>,
    /// The text as the customer reads it.
    rendered: Option<String>,
}

impl From<&TemplateMessage> for SentTemplateView {
    fn from(template: &TemplateMessage) -> Self {
        let values = &template.parameters.body;
        Self {
            name: template.name.clone(),
            language: template.language.clone(),
            category: template.category.clone(),
            body: (!values.is_empty()).then(|| values.into()),
            rendered: template.rendered.clone(),
        }
    }
}

/// What a message says: exactly one sort of content, where text may have attachments, and a letter more than that.
#[derive(Debug, Default, Object)]
#[oai(rename = "Content", skip_serializing_if_is_none)]
pub(crate) struct ContentView {
    /// Words.
    text: Option<String>,
    /// Files, in order.
    attachments: Option<Vec<AttachmentView>>,
    /// Of a letter: its subject.
    subject: Option<String>,
    /// Of a letter: the words as HTML. Show it in a frame of its own, without scripts and what it would load.
    html: Option<String>,
    /// Of a letter: from which address it was written.
    from: Option<String>,
    /// Of a letter that came in: to which addresses.
    to: Option<Vec<String>>,
    /// Of a letter: readers that everybody sees.
    cc: Option<Vec<String>>,
    /// Of a letter: readers that only agents see.
    bcc: Option<Vec<String>>,
    /// Of a letter that came in: the whole of it as it was received.
    source: Option<AttachmentView>,
    /// A template.
    template: Option<SentTemplateView>,
    /// Words with something to choose from.
    choices: Option<ChoicesBody>,
    /// A place.
    location: Option<LocationBody>,
    /// Contact cards.
    contacts: Option<Vec<ContactCardBody>>,
    /// An emoji put to a message.
    reaction: Option<ReactionBody>,
    /// Something that can't be shown, in the platform's word.
    unsupported: Option<String>,
}

impl ContentView {
    /// With what is known of its files.
    pub(super) fn complete(&mut self, look: &dyn Fn(Uuid) -> Option<FileView>) {
        self.attachments.iter_mut().flatten().chain(&mut self.source).for_each(|file| file.complete(look));
    }
}

impl From<&Content> for ContentView {
    fn from(content: &Content) -> Self {
        let nothing = Self::default();
        match &content.body {
            Body::Text { text, attachments } => Self {
                text: (!text.is_empty()).then(|| text.clone()),
                attachments: (!attachments.is_empty()).then(|| attachments.iter().map(Into::into).collect()),
                ..nothing
            },
            Body::Template(template) => Self { template: Some(template.into()), ..nothing },
            Body::Choices(choices) => Self { choices: Some(choices.into()), ..nothing },
            Body::Location(place) => Self { location: Some(place.into()), ..nothing },
            Body::Contacts { contacts } => {
                Self { contacts: Some(contacts.iter().map(Into::into).collect()), ..nothing }
            }
            Body::Reaction(reaction) => {
                let reaction = ReactionBody { to: reaction.to.clone(), emoji: reaction.emoji.clone() };
                Self { reaction: Some(reaction), ..nothing }
            }
            Body::Mail(mail) => mail.into(),
            Body::Unsupported { what } => Self { unsupported: Some(what.clone()), ..nothing },
        }
    }
}

impl From<&Mail> for ContentView {
    fn from(mail: &Mail) -> Self {
        let some = |addresses: &Vec<String>| (!addresses.is_empty()).then(|| addresses.clone());
        Self {
            text: (!mail.text.is_empty()).then(|| mail.text.clone()),
            attachments: (!mail.attachments.is_empty()).then(|| mail.attachments.iter().map(Into::into).collect()),
            subject: mail.subject.clone(),
            html: mail.html.clone(),
            from: mail.from.clone(),
            to: some(&mail.to),
            cc: some(&mail.cc),
            bcc: some(&mail.bcc),
            source: mail.source.as_ref().map(Into::into),
            ..Self::default()
        }
    }
}
