//! Message objects, checked as LINE checks them.

use serde_json::Value;

use super::errors::LineError;
use crate::chats::Button;

/// What a request says, as far as a phone shows it.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) buttons: Vec<Button>,
}

/// What is wrong, property by property.
type Errors = Vec<(String, &'static str)>;

/// The messages of a request: one to five.
pub(super) fn parse(body: &Value) -> Result<Vec<Outgoing>, LineError> {
    let messages = body.get("messages").and_then(Value::as_array).ok_or_else(|| LineError::property("messages"))?;
    let mut errors = Errors::new();
    if !(1..=5).contains(&messages.len()) {
        errors.push(("messages".to_owned(), "Size must be between 1 and 5"));
    }
    let read = |(n, message)| Checker { path: format!("messages[{n}]"), errors: &mut errors }.message(message);
    let outgoing: Vec<Outgoing> = messages.iter().enumerate().map(read).collect();
    if errors.is_empty() { Ok(outgoing) } else { Err(LineError::body(errors)) }
}

struct Checker<'e> {
    path: String,
    errors: &'e mut Errors,
}

impl Checker<'_> {
    fn message(&mut self, message: &Value) -> Outgoing {
        let (kind, text, mut buttons) = match message.get("type").and_then(Value::as_str).unwrap_or_default() {
            "text" => ("text", self.text(message, "text", 5_000), Vec::new()),
            "image" => {
                self.address(message, "previewImageUrl");
                ("image", self.address(message, "originalContentUrl"), Vec::new())
            }
            "video" => {
                self.address(message, "previewImageUrl");
                ("video", self.address(message, "originalContentUrl"), Vec::new())
            }
            "audio" => {
                if message.get("duration").and_then(Value::as_u64).is_none_or(|duration| duration == 0) {
                    self.wrong("duration", "Must be greater than or equal to 1");
                }
                ("audio", self.address(message, "originalContentUrl"), Vec::new())
            }
            "location" => {
                for (name, most) in [("latitude", 90.0), ("longitude", 180.0)] {
                    if message.get(name).and_then(Value::as_f64).is_none_or(|degrees| degrees.abs() > most) {
                        self.wrong(name, "Must be a valid coordinate");
                    }
                }
                self.text(message, "address", 100);
                ("location", self.text(message, "title", 100), Vec::new())
            }
            "sticker" => {
                for name in ["packageId", "stickerId"] {
                    let id = message.get(name).and_then(Value::as_str).unwrap_or_default();
                    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                        self.wrong(name, "May not be empty");
                    }
                }
                ("sticker", String::new(), Vec::new())
            }
            "template" => {
                self.text(message, "altText", 1_500);
                let template = message.get("template").cloned().unwrap_or_default();
                let text = self.text(&template, "text", 160);
                ("template", text, self.actions(template.get("actions"), 4))
            }
            _ => {
                self.wrong(
                    "type",
                    "Must be one of the following: [text, image, video, audio, location, sticker, template]",
                );
                ("text", String::new(), Vec::new())
            }
        };
        if let Some(items) = message.get("quickReply").and_then(|reply| reply.get("items")).and_then(Value::as_array) {
            let actions = items.iter().filter_map(|item| item.get("action")).cloned().collect();
            buttons.extend(self.actions(Some(&Value::Array(actions)), 13));
        }
        if let Some(name) = message.get("sender").and_then(|sender| sender.get("name")).and_then(Value::as_str)
            && name.chars().count() > 20
        {
            self.wrong("sender.name", "Length must be between 0 and 20");
        }
        Outgoing { kind, text, buttons }
    }

    fn text(&mut self, object: &Value, name: &str, most: usize) -> String {
        let text = object.get(name).and_then(Value::as_str).unwrap_or_default();
        if text.trim().is_empty() {
            self.wrong(name, "May not be empty");
        } else if text.encode_utf16().count() > most {
            self.wrong(name, "Length must be between 0 and the documented limit");
        }
        text.to_owned()
    }

    /// A public https address. It is not fetched: customers' phones do that.
    fn address(&mut self, object: &Value, name: &str) -> String {
        let address = object.get(name).and_then(Value::as_str).unwrap_or_default();
        let is_https = url::Url::parse(address).is_ok_and(|url| url.scheme() == "https");
        if !is_https || address.len() > 2_000 {
            self.wrong(name, "Must be a valid HTTPS URL");
        }
        String::new()
    }

    fn actions(&mut self, actions: Option<&Value>, most: usize) -> Vec<Button> {
        let actions = actions.and_then(Value::as_array).cloned().unwrap_or_default();
        if !(1..=most).contains(&actions.len()) {
            self.wrong("actions", "Size must be between 1 and the documented limit");
        }
        let mut buttons = Vec::new();
        for action in &actions {
            let label = self.text(action, "label", 20);
            match action.get("type").and_then(Value::as_str).unwrap_or_default() {
                "postback" => {
                    buttons.push(Button { data: self.text(action, "data", 300), text: label, choice: false });
                }
                "uri" => {
                    self.text(action, "uri", 1_000);
                }
                "message" => {
                    self.text(action, "text", 300);
                }
                _ => self.wrong("actions.type", "Must be one of the following: [message, postback, uri]"),
            }
        }
        buttons
    }

    fn wrong(&mut self, name: &str, why: &'static str) {
        self.errors.push((format!("{}.{name}", self.path), why));
    }
}
