//! The inbound webhook, in the shape of Postmark or of Mailgun.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::account::{EmailSettings, Inbound, mailbox};
use super::compose::{Content, Draft};
use crate::Problem;
use crate::platforms::{Wire, kit};
use crate::world::World;

/// Puts a letter into the mailbox's queue.
pub(super) fn report(world: &mut World, account: &str, event: &str, draft: &Draft) -> Result<Option<u64>, Problem> {
    let settings = mailbox(world, account)?.settings.clone();
    let body = match settings.inbound {
        Inbound::Postmark => {
            let id = format!("{:08x}-0000-4000-8000-{:012x}", world.names.seed() & 0xffff_ffff, world.names.number());
            postmark(&settings, &id, draft)
        }
        Inbound::Mailgun => {
            let token = world.names.token(50);
            mailgun(&settings, &token, draft)?
        }
    };
    Ok(world.report(account, event, body.to_string()))
}

fn postmark(settings: &EmailSettings, id: &str, draft: &Draft) -> Value {
    let hash = |address: &str| {
        let local = address.split('@').next().unwrap_or_default();
        local.split_once('+').map(|(_, tag)| tag.to_owned()).unwrap_or_default()
    };
    let full = |addresses: &[String]| -> Value {
        let one = |address: &String| json!({"Email": address, "Name": "", "MailboxHash": hash(address)});
        addresses.iter().map(one).collect()
    };
    let (text, html) = words(draft);
    let fields: Vec<Value> =
        listed(draft).into_iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
    let mut body = json!({
        "FromName": draft.from.0, "MessageStream": "inbound", "From": draft.from.1,
        "FromFull": {"Email": draft.from.1, "Name": draft.from.0, "MailboxHash": hash(&draft.from.1)},
        "To": draft.to.join(", "), "ToFull": full(&draft.to), "Cc": draft.cc.join(", "), "CcFull": full(&draft.cc),
        "Bcc": "", "BccFull": [], "OriginalRecipient": draft.recipient, "Subject": draft.subject, "MessageID": id,
        "ReplyTo": "", "MailboxHash": hash(&draft.recipient), "Date": field(draft, "Date"),
        "TextBody": text, "HtmlBody": html, "StrippedTextReply": "", "Tag": "", "Headers": fields,
        "Attachments": attachments(draft),
    });
    if let (true, Value::Object(body)) = (settings.raw, &mut body) {
        body.insert("RawEmail".to_owned(), json!(draft.raw()));
    }
    body
}

/// The fields of Mailgun's form; what proves it is added when it leaves.
fn mailgun(settings: &EmailSettings, token: &str, draft: &Draft) -> Result<Value, Problem> {
    let (text, html) = words(draft);
    let fields: Vec<Value> = listed(draft).into_iter().map(|(name, value)| json!([name, value])).collect();
    let from = format!("{} <{}>", draft.from.0, draft.from.1);
    let mut form = vec![
        ("recipient", draft.recipient.clone()),
        ("sender", draft.envelope_from.clone()),
        ("from", from),
        ("subject", draft.subject.clone()),
        ("token", token.to_owned()),
    ];
    match (settings.raw, attachments(draft).is_empty()) {
        (true, _) => form.push(("body-mime", draft.raw())),
        (false, false) => return Err(Problem::invalid("files and reports by Mailgun need the setting `raw`")),
        (false, true) => form.extend([
            ("body-plain", text),
            ("body-html", html),
            ("message-headers", Value::from(fields).to_string()),
            ("attachment-count", "0".to_owned()),
        ]),
    }
    Ok(json!({"form": form}))
}

/// A form as it leaves: with the time, and the proof over time and token.
pub(super) fn sealed(world: &mut World, account: &str, wire: Wire, badly: bool) -> Wire {
    let Ok(settings) = mailbox(world, account).map(|found| found.settings.clone()) else { return wire };
    let stored: Value = serde_json::from_str(&wire.body).unwrap_or_default();
    let Some(form) =
        stored.get("form").and_then(|form| serde_json::from_value::<Vec<(String, String)>>(form.clone()).ok())
    else {
        return wire;
    };
    let timestamp = world.now().unix_timestamp().to_string();
    let token = form.iter().find(|(name, _)| name == "token").map(|(_, value)| value.as_str()).unwrap_or_default();
    let key = if badly { "not the key" } else { settings.signing_key.as_str() };
    let signature = hex::encode(kit::hmac_sha256(key.as_bytes(), format!("{timestamp}{token}").as_bytes()));
    let proof = [("timestamp".to_owned(), timestamp.clone()), ("signature".to_owned(), signature)];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form.iter().chain(&proof)).finish();
    Wire { content_type: "application/x-www-form-urlencoded", body, ..wire }
}

/// HTTP Basic, where Postmark's address carries it.
pub(super) fn proof(settings: &EmailSettings, badly: bool) -> Vec<(&'static str, String)> {
    match settings.inbound {
        Inbound::Mailgun => Vec::new(),
        Inbound::Postmark => {
            let password = if badly { "not the password" } else { settings.webhook_password.as_str() };
            vec![("authorization", format!("Basic {}", BASE64.encode(format!("{}:{password}", settings.webhook_user))))]
        }
    }
}

fn words(draft: &Draft) -> (String, String) {
    match &draft.content {
        Content::Words { text, html, .. } => (text.clone(), html.clone().unwrap_or_default()),
        Content::Report { words, .. } => (words.clone(), String::new()),
    }
}

fn attachments(draft: &Draft) -> Vec<Value> {
    let file = |name: &str, mime: &str, bytes: &[u8]| json!({"Name": name, "Content": BASE64.encode(bytes), "ContentType": mime, "ContentLength": bytes.len(), "ContentID": ""});
    match &draft.content {
        Content::Words { files, .. } => files.iter().map(|one| file(&one.name, &one.mime, &one.bytes)).collect(),
        Content::Report { machine, about, .. } => vec![
            file("report", machine.0, machine.1.as_bytes()),
            file("headers", "text/rfc822-headers", about.as_bytes()),
        ],
    }
}

/// The fields that a webhook lists: those that it has no place of its own for, unfolded.
fn listed(draft: &Draft) -> Vec<(String, String)> {
    let elsewhere = ["From", "To", "Cc", "Subject", "Date"];
    let rest = draft.fields().into_iter().filter(|(name, _)| !elsewhere.contains(&name.as_str()));
    rest.map(|(name, value)| (name, value.replace("\r\n ", " "))).collect()
}

fn field(draft: &Draft, wanted: &str) -> String {
    draft.fields().into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value).unwrap_or_default()
}
