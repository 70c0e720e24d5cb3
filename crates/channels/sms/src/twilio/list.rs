//! The list of messages: read for those that no webhook brought (sms.md 4), and for those whose answer was lost (2).

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use transom_channel::{RawInbound, SendError};
use url::form_urlencoded::Serializer;

use super::inbound::SENT;
use super::{TWILIO, Twilio, error, refused};
use crate::config::Sender;
use crate::provider::Sent;

/// The largest that Twilio gives.
const PAGE: &str = "1000";

/// `GET /Messages.json`.
#[derive(Deserialize)]
struct Page {
    messages: Vec<Listed>,
    next_page_uri: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    sid: String,
    direction: String,
    from: Option<String>,
    to: Option<String>,
    body: Option<String>,
    date_created: Option<String>,
    date_sent: Option<String>,
    num_media: Option<String>,
    messaging_service_sid: Option<String>,
}

/// `GET /Messages/{sid}/Media.json`.
#[derive(Deserialize)]
struct Files {
    media_list: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    content_type: String,
    uri: String,
}

/// What customers wrote to this sender from `since` on and before `until`, oldest first, in the form of a webhook.
pub(super) async fn received(
    twilio: &Twilio,
    since: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Vec<RawInbound>, SendError> {
    let mut next = Some(format!("/Messages.json?{}", query(&twilio.sender, since, until)));
    let mut found = Vec::new();
    while let Some(here) = next {
        let page = page(twilio, &here).await?;
        next = page.next;
        for message in page.messages {
            // Whole seconds: what stands on the edge is told twice rather than never.
            let Some(at) = instant(message.date_sent.as_deref())
                .filter(|at| (since.unix_timestamp()..=until.unix_timestamp()).contains(&at.unix_timestamp()))
            else {
                continue;
            };
            if message.direction == "inbound" && is_ours(twilio, &message, message.to.as_ref()) {
                found.push((at, form(twilio, message, at).await?));
            }
        }
    }
    // The list begins with the newest, and says no more than the second.
    found.reverse();
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, raw)| raw).collect())
}

/// What this sender sent to a number from `since` on, the newest first. Not asked for by `DateSent`: what waits in Twilio's queue
/// has none.
pub(super) async fn sent(twilio: &Twilio, to: &str, since: OffsetDateTime) -> Result<Vec<Sent>, SendError> {
    let query = Serializer::new(String::new()).append_pair("PageSize", PAGE).append_pair("To", to).finish();
    let mut next = Some(format!("/Messages.json?{query}"));
    let mut found = Vec::new();
    while let Some(here) = next {
        let page = page(twilio, &here).await?;
        let is_old = |message: &Listed| {
            instant(message.date_created.as_deref()).is_some_and(|at| at.unix_timestamp() < since.unix_timestamp())
        };
        next = page.next.filter(|_| !page.messages.iter().all(is_old));
        for message in page.messages.into_iter().filter(|message| !is_old(message)) {
            if message.direction == "outbound-api" && is_ours(twilio, &message, message.from.as_ref()) {
                let files = message.num_media.and_then(|count| count.parse().ok()).unwrap_or_default();
                // Without a time it may be any: not before it was asked for.
                let at = instant(message.date_created.as_deref()).unwrap_or(since);
                found.push(Sent { id: message.sid, at, text: message.body.unwrap_or_default(), files });
            }
        }
    }
    Ok(found)
}

fn query(sender: &Sender, since: OffsetDateTime, until: OffsetDateTime) -> String {
    let second = |at: OffsetDateTime| at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default();
    let mut query = Serializer::new(String::new());
    query
        .append_pair("PageSize", PAGE)
        .append_pair("DateSent>", &second(since))
        .append_pair("DateSent<", &second(until));
    if let Sender::Address(address) = sender {
        query.append_pair("To", address);
    }
    query.finish()
}

/// Whether a message is this sender's, whose end of it is `end`.
fn is_ours(twilio: &Twilio, message: &Listed, end: Option<&String>) -> bool {
    match &twilio.sender {
        Sender::Address(address) => end == Some(address),
        Sender::Service(service) => message.messaging_service_sid.as_ref() == Some(service),
    }
}

fn instant(text: Option<&str>) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text?, &Rfc2822).ok()
}

/// A page, and the path of the next.
struct Read {
    messages: Vec<Listed>,
    next: Option<String>,
}

async fn page(twilio: &Twilio, here: &str) -> Result<Read, SendError> {
    let page: Page = read(twilio, here).await?;
    let next = page.next_page_uri.map(|next| next_page(twilio, here, &next)).transpose()?;
    Ok(Read { messages: page.messages, next })
}

/// A list that can't be read to its end would hide what stands there.
fn next_page(twilio: &Twilio, here: &str, next: &str) -> Result<String, SendError> {
    let own = format!("/2010-04-01/Accounts/{}", twilio.account_sid);
    let next = next.strip_prefix(&own).filter(|next| *next != here);
    next.map(str::to_owned).ok_or_else(|| error::of_a_read(error::unreadable(200)))
}

/// A listed message as its webhook says it, with the time that a webhook lacks.
async fn form(twilio: &Twilio, message: Listed, at: OffsetDateTime) -> Result<RawInbound, SendError> {
    let count = message.num_media.as_deref().unwrap_or_default();
    let files = match count {
        "" | "0" => Vec::new(),
        _ => read::<Files>(twilio, &format!("/Messages/{}/Media.json", message.sid)).await?.media_list,
    };
    let mut form = Serializer::new(String::new());
    form.append_pair("MessageSid", &message.sid).append_pair("SmsStatus", "received");
    form.append_pair("Body", message.body.as_deref().unwrap_or_default()).append_pair("NumMedia", count);
    let ends = [("From", &message.from), ("To", &message.to), ("MessagingServiceSid", &message.messaging_service_sid)];
    for (name, value) in ends.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        form.append_pair(name, value);
    }
    for (n, file) in files.iter().enumerate() {
        let url = format!("{TWILIO}{}", file.uri.trim_end_matches(".json"));
        form.append_pair(&format!("MediaUrl{n}"), &url)
            .append_pair(&format!("MediaContentType{n}"), &file.content_type);
    }
    let sent = at.format(&Rfc3339).unwrap_or_default();
    let raw = RawInbound::new(form.finish(), twilio.clock.now());
    Ok(RawInbound { headers: vec![(SENT.to_owned(), sent)], ..raw })
}

async fn read<T: DeserializeOwned>(twilio: &Twilio, path: &str) -> Result<T, SendError> {
    let answer = twilio.http.execute_up_to(twilio.call(Method::GET, path), MAX_LIST).await;
    let answer = answer.map_err(|failed| error::of_a_read(failed.into()))?;
    if !answer.is_success() {
        return Err(error::of_a_read(refused(&answer)));
    }
    answer.json().ok_or_else(|| error::of_a_read(error::unreadable(answer.status)))
}

/// A thousand messages of ten segments, with room for what stands around them, in bytes.
const MAX_LIST: usize = 16 * 1024 * 1024;
