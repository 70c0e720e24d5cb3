//! Reads the body of `POST /messages` and holds it against the platform's limits.

use serde_json::Value;

use super::errors::GraphError;
use crate::chats::{Button, Link};

/// A message that is well-formed. Whether it may be sent is another question.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    /// The number, as written.
    pub(super) to: Option<String>,
    /// The business-scoped user id.
    pub(super) recipient: Option<String>,
    pub(super) kind: String,
    /// What the customer reads.
    pub(super) text: String,
    pub(super) media: Option<MediaRef>,
    pub(super) reply_to: Option<String>,
    pub(super) parts: Parts,
    /// The target and the emoji; none takes it back.
    pub(super) reaction: Option<(String, Option<String>)>,
    pub(super) template: Option<Value>,
    /// Comes back in each status.
    pub(super) callback: Option<String>,
}

/// What a message shows beside its words, and which of them are its title and its small print.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::platforms) struct Parts {
    pub(in crate::platforms) header: Option<String>,
    pub(in crate::platforms) footer: Option<String>,
    pub(in crate::platforms) buttons: Vec<Button>,
    pub(in crate::platforms) links: Vec<Link>,
}

/// The file that a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MediaRef {
    Id(String),
    Link(String),
}

type Checked<T> = Result<T, GraphError>;

impl Outgoing {
    /// Reads a message.
    pub(super) fn parse(body: &Value) -> Checked<Self> {
        if body.get("messaging_product").and_then(Value::as_str) != Some("whatsapp") {
            return Err(GraphError::new(100, "The parameter messaging_product is required and is 'whatsapp'."));
        }
        match body.get("recipient_type").and_then(Value::as_str) {
            None | Some("individual") => {}
            Some(other) => {
                return Err(GraphError::invalid("recipient_type", &format!("'{other}' is not supported here")));
            }
        }
        let (to, recipient) = (optional(body, "to")?, optional(body, "recipient")?);
        if to.is_none() && recipient.is_none() {
            return Err(GraphError::missing("to"));
        }
        let kind = optional(body, "type")?.unwrap_or_else(|| "text".to_owned());
        let callback = optional(body, "biz_opaque_callback_data")?;
        if let Some(data) = &callback {
            at_most("biz_opaque_callback_data", data, 512)?;
        }
        let reply_to = body.get("context").map(|context| needed(context, "message_id")).transpose()?;
        let message = Self {
            to,
            recipient,
            text: String::new(),
            media: None,
            reply_to,
            parts: Parts::default(),
            reaction: None,
            template: None,
            callback,
            kind,
        };
        let known = "text image video audio document sticker location contacts reaction interactive template";
        if !known.split(' ').any(|one| one == message.kind) {
            return Err(GraphError::new(131_051, format!("Message type '{}' is not supported", message.kind)));
        }
        let content = body.get(&message.kind).ok_or_else(|| GraphError::missing(&message.kind))?.clone();
        message.with_content(&content)
    }

    fn with_content(mut self, content: &Value) -> Checked<Self> {
        match self.kind.as_str() {
            "text" => self.text = text(content, "body", "text['body']", 4_096)?,
            "image" | "video" | "audio" | "document" | "sticker" => self = self.with_media(content)?,
            "location" => {
                let (latitude, longitude) =
                    (degrees(content, "latitude", 90.0)?, degrees(content, "longitude", 180.0)?);
                let place = [optional(content, "name")?, optional(content, "address")?].into_iter().flatten();
                self.text = place.chain([format!("{latitude}, {longitude}")]).collect::<Vec<_>>().join(", ");
            }
            "contacts" => self.text = contacts(content)?,
            "reaction" => {
                let emoji = optional(content, "emoji")?.filter(|emoji| !emoji.is_empty());
                self.reaction = Some((needed(content, "message_id")?, emoji));
            }
            "interactive" => (self.text, self.parts) = interactive(content)?,
            _ => self.template = Some(content.clone()),
        }
        Ok(self)
    }

    fn with_media(mut self, content: &Value) -> Checked<Self> {
        self.media = Some(match (optional(content, "id")?, optional(content, "link")?) {
            (Some(id), None) => MediaRef::Id(id),
            (None, Some(link)) if link.starts_with("https://") || link.starts_with("http://") => MediaRef::Link(link),
            (None, Some(_)) => return Err(GraphError::invalid("link", "not a valid http or https URL")),
            (Some(_), Some(_)) => return Err(GraphError::invalid("id", "give either id or link, not both")),
            (None, None) => return Err(GraphError::missing("id or link")),
        });
        if let Some(caption) = optional(content, "caption")? {
            if !matches!(self.kind.as_str(), "image" | "video" | "document") {
                return Err(GraphError::new(100, format!("Unexpected key \"caption\" on param \"{}\".", self.kind)));
            }
            at_most("caption", &caption, 1_024)?;
            self.text = caption;
        }
        Ok(self)
    }
}

/// The words and the buttons of an interactive message.
fn interactive(content: &Value) -> Checked<(String, Parts)> {
    let kind = needed(content, "type")?;
    let action = content.get("action").ok_or_else(|| GraphError::missing("action"))?;
    let body_limit = if kind == "list" { 4_096 } else { 1_024 };
    let (mut lines, mut parts) = (Vec::new(), Parts::default());
    if let Some(header) = content.get("header")
        && needed(header, "type")? == "text"
    {
        parts.header = Some(text(header, "text", "header['text']", 60)?);
    }
    lines.extend(parts.header.clone());
    if let Some(body) = content.get("body") {
        lines.push(text(body, "text", "body['text']", body_limit)?);
    } else if kind != "product" && kind != "catalog_message" {
        return Err(GraphError::missing("body"));
    }
    if let Some(footer) = content.get("footer") {
        parts.footer = Some(text(footer, "text", "footer['text']", 60)?);
    }
    lines.extend(parts.footer.clone());
    parts.buttons = match kind.as_str() {
        "button" => reply_buttons(action)?,
        "list" => rows(action)?,
        "cta_url" => {
            let parameters = action.get("parameters").ok_or_else(|| GraphError::missing("parameters"))?;
            let label = text(parameters, "display_text", "display_text", 20)?;
            let url = needed(parameters, "url")?;
            lines.push(format!("[{label}] {url}"));
            parts.links.push(Link::new(label, url));
            Vec::new()
        }
        "flow"
        | "location_request_message"
        | "contact_request"
        | "product"
        | "product_list"
        | "catalog_message"
        | "address_message" => Vec::new(),
        other => return Err(GraphError::invalid("interactive['type']", &format!("'{other}' is not one of them"))),
    };
    Ok((lines.join("\n"), parts))
}

fn reply_buttons(action: &Value) -> Checked<Vec<Button>> {
    let buttons = list(action, "buttons")?;
    if buttons.is_empty() || buttons.len() > 3 {
        return Err(GraphError::invalid("buttons", "between 1 and 3 buttons"));
    }
    let read = |button: &Value| {
        let reply = button.get("reply").ok_or_else(|| GraphError::missing("reply"))?;
        let data = text(reply, "id", "reply['id']", 256)?;
        Ok(Button { data, text: text(reply, "title", "reply['title']", 20)?, choice: false })
    };
    let buttons = buttons.iter().map(read).collect::<Checked<Vec<_>>>()?;
    distinct(&buttons)?;
    Ok(buttons)
}

fn rows(action: &Value) -> Checked<Vec<Button>> {
    text(action, "button", "action['button']", 20)?;
    let sections = list(action, "sections")?;
    if sections.is_empty() || sections.len() > 10 {
        return Err(GraphError::invalid("sections", "between 1 and 10 sections"));
    }
    let mut buttons = Vec::new();
    for section in sections {
        match optional(section, "title")? {
            Some(title) => at_most("section['title']", &title, 24)?,
            None if sections.len() > 1 => return Err(GraphError::missing("section['title']")),
            None => {}
        }
        for row in list(section, "rows")? {
            if let Some(description) = optional(row, "description")? {
                at_most("row['description']", &description, 72)?;
            }
            let data = text(row, "id", "row['id']", 200)?;
            buttons.push(Button { data, text: text(row, "title", "row['title']", 24)?, choice: true });
        }
    }
    if buttons.is_empty() || buttons.len() > 10 {
        return Err(GraphError::invalid("rows", "between 1 and 10 rows over all sections"));
    }
    distinct(&buttons)?;
    Ok(buttons)
}

fn distinct(buttons: &[Button]) -> Checked<()> {
    let ids: std::collections::BTreeSet<_> = buttons.iter().map(|button| &button.data).collect();
    if ids.len() == buttons.len() { Ok(()) } else { Err(GraphError::invalid("id", "used twice in one message")) }
}

fn contacts(content: &Value) -> Checked<String> {
    let cards = content.as_array().filter(|cards| !cards.is_empty()).ok_or_else(|| GraphError::missing("contacts"))?;
    let read = |card: &Value| {
        let name = card.get("name").ok_or_else(|| GraphError::missing("name"))?;
        needed(name, "formatted_name")
    };
    Ok(cards.iter().map(read).collect::<Checked<Vec<_>>>()?.join(", "))
}

fn degrees(content: &Value, name: &str, most: f64) -> Checked<f64> {
    let value = content.get(name).ok_or_else(|| GraphError::missing(name))?;
    let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    number.filter(|number| number.abs() <= most).ok_or_else(|| GraphError::invalid(name, "not a coordinate"))
}

fn list<'a>(object: &'a Value, name: &str) -> Checked<&'a Vec<Value>> {
    object.get(name).and_then(Value::as_array).ok_or_else(|| GraphError::missing(name))
}

/// A text that may be left out.
pub(super) fn optional(object: &Value, name: &str) -> Checked<Option<String>> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(GraphError::new(100, format!("Param {name} must be a string."))),
    }
}

/// A text that must be there and not empty.
pub(super) fn needed(object: &Value, name: &str) -> Checked<String> {
    optional(object, name)?.filter(|text| !text.trim().is_empty()).ok_or_else(|| GraphError::missing(name))
}

/// A needed text of limited length. The platform says "characters"; they are counted as Unicode scalar values.
fn text(object: &Value, name: &str, shown: &str, limit: usize) -> Checked<String> {
    let text = needed(object, name)?;
    at_most(shown, &text, limit)?;
    Ok(text)
}

fn at_most(shown: &str, text: &str, limit: usize) -> Checked<()> {
    if text.chars().count() > limit { Err(GraphError::too_long(shown, limit)) } else { Ok(()) }
}
