//! A small platform with its channel: it keeps every law, unless it is told to break one.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use time::OffsetDateTime;
use transom_channel::conformance::{
    Accepted, Double, Fault, Harness, Proof, Sample, SampleFiles, SignedCall, Webhooks,
};
use transom_channel::http::{HttpAnswer, HttpClient, Phase};
use transom_channel::{
    AccountInfo, AddressRule, Answer, Capabilities, Channel, ChoiceRule, Inbound, InboundMessage, Item, MediaRule,
    Opening, OutboundPart, Pacing, ParseError, Person, PlannedPart, Platform, PlatformReport, Ports, Rate, RawInbound,
    Receipt, Receipts, SendError, SettingField, SettingScope, SettingValues, SettingsError, Settling, TemplateCatalog,
    TextLimit, Unsendable, VerifyError, WebhookCall, json, signature,
};
use transom_domain::{
    Address, Attachment, Body, ChannelAccountId, Choices, ContactId, Content, Identity, IdentityId, MediaKind,
    TemplateDefinition, TemplateMessage, TemplateParameters, UuidV7,
};

use crate::server::{Reply, Request, Server};

/// What a parrot does wrong. Each breaks one law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    WaitsForEver,
    NamesTheWrongSetting,
    ChecksAnotherAccount,
    ShowsItsToken,
    CountsTextInBytes,
    TakesOneUnitMore,
    SendsTextThatItDoesNotPlan,
    SendsBlanks,
    TakesStickersInSecret,
    IgnoresTypes,
    IgnoresTheLimitForAddresses,
    TakesListsInSecret,
    IgnoresLongLabels,
    RefusesNamedPlaces,
    RefusesCards,
    NeverTakesAReactionBack,
    QuotesInSecret,
    SendsTemplatesAsText,
    HidesItsTemplates,
    SendsWhatItCannotRead,
    SortsFiles,
    DropsWordsThatAreNoCaption,
    OverfillsCaptions,
    ChangesItsMind,
    EscapesText,
    InventsIds,
    SplitsParts,
    SignsInTheText,
    WritesToAnybody,
    CallsBadTokensABadRequest,
    CallsALostAnswerAFailure,
    CallsGarbageASuccess,
    CallsATruncatedAnswerAFailure,
    CallsSilenceAFailure,
    CallsAGatewayErrorAFailure,
    CallsNoConnectionUnknown,
    ForgetsTheWish,
    TriesAgain,
    QuotesItsRequestInErrors,
    RefusesTaps,
    TakesAShorterProof,
    WorksWithoutASecret,
    RefusesUnknownEvents,
    VerifiesWhileParsing,
    Remembers,
    MakesKeysFromTheTimeOfReceipt,
    MakesKeysFromTheKind,
    ForgetsTheAccount,
    ReadsItsOwnClock,
    InventsOpenings,
    DropsUnknownEvents,
    ReadsGarbage,
    QuotesTheBodyInParseErrors,
    Panics,
}

const TOKEN: &str = "parrot-token-8d1f";
const HOOK_SECRET: &str = "parrot-hook-77aa";

const POLICY: &str = r#"
name     = "parrot"
platform = "parrot"
version  = "2026-01-01"
about    = "Free text for a day after each message."
sources  = [{ document = "invented", sheet = "none", read = "2026" }]

[kinds]
message = { implies = ["wrote_before", "subscribed", "reachable"], about = "a message" }

[[grant]]
name         = "chat"
about        = "A day after the last message."
basis        = "free_form"
opened_by    = ["message"]
counted_from = "latest"
within       = "24h"
"#;

const fn setting(name: &'static str, secret: bool, required: bool, external_key: bool) -> SettingField {
    let scope = if external_key { SettingScope::Account } else { SettingScope::Connection };
    SettingField { name, label: name, help: "", secret, scope, required, external_key }
}

const SETTINGS: [SettingField; 3] = [
    setting("token", true, true, false),
    setting("hook_secret", true, true, false),
    setting("cage", false, true, true),
];
/// Those of a parrot that does not insist on its secret.
const CARELESS_SETTINGS: [SettingField; 3] = [
    setting("token", true, true, false),
    setting("hook_secret", true, false, false),
    setting("cage", false, true, true),
];

/// A parrot platform: with everything, or with text alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parrots {
    pub(crate) flaw: Flaw,
    pub(crate) lean: bool,
}

impl Platform for Parrots {
    fn name(&self) -> &'static str {
        "parrot"
    }

    fn label(&self) -> &'static str {
        "Parrot"
    }

    fn policies(&self) -> &'static [(&'static str, &'static str)] {
        &[("parrot.toml", POLICY)]
    }

    fn settings(&self) -> &'static [SettingField] {
        if self.flaw == Flaw::WorksWithoutASecret { &CARELESS_SETTINGS } else { &SETTINGS }
    }

    fn connect(&self, settings: &SettingValues, ports: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        let missing = |error| match (self.flaw, error) {
            (Flaw::NamesTheWrongSetting, SettingsError::Missing(_)) => SettingsError::Missing("feathers".to_owned()),
            (_, error) => error,
        };
        let hook_secret = match settings.secret("hook_secret") {
            Err(_) if self.flaw == Flaw::WorksWithoutASecret => SecretString::default(),
            secret => secret.map_err(missing)?,
        };
        Ok(Arc::new(Parrot {
            flaw: self.flaw,
            capabilities: capabilities(self.lean, self.flaw),
            token: settings.secret("token").map_err(missing)?,
            hook_secret,
            cage: settings.require("cage").map_err(missing)?.to_owned(),
            base: ports.endpoint("parrot", "https://parrot.example"),
            ports: ports.clone(),
            mood: AtomicBool::new(false),
            seen: Mutex::default(),
        }))
    }
}

fn capabilities(lean: bool, flaw: Flaw) -> Capabilities {
    let one = NonZeroU32::MIN;
    let rate = Rate { burst: one, each: time::Duration::SECOND };
    let media =
        |kind, mimes, caption| MediaRule { kind, mimes, max_bytes: 1_000, max_bytes_by_url: Some(500), caption };
    let full = Capabilities {
        text: TextLimit::Scalars(100),
        caption: Some(TextLimit::Utf16(30)),
        media: vec![
            media(MediaKind::Image, vec!["image/png", "image/jpeg"], true),
            media(MediaKind::Document, vec!["application/pdf"], true),
            media(MediaKind::Voice, vec!["audio/*"], false),
        ],
        files_per_part: 2,
        choices: Some(ChoiceRule {
            max_buttons: 3,
            button_title: TextLimit::Scalars(10),
            button_id: TextLimit::Utf8Bytes(16),
            max_rows: 0,
            text: TextLimit::Scalars(50),
        }),
        location: true,
        contacts: true,
        reactions: true,
        quotes: true,
        threads: false,
        shows_sender: false,
        receipts: Receipts { delivered: false, read: false, failed: false },
        settling: Settling {
            dedupes_for: None,
            correlates: false,
            wait: if flaw == Flaw::WaitsForEver { time::Duration::MAX } else { time::Duration::MINUTE },
        },
        pacing: Pacing { account: rate, sound_and_film: None, recipient: rate, concurrency: one },
        addresses: vec![AddressRule { kind: "perch", can_start: false, from: None }],
    };
    if lean {
        let (media, caption, choices) = (Vec::new(), None, None);
        Capabilities {
            media,
            caption,
            choices,
            location: false,
            contacts: false,
            reactions: false,
            quotes: false,
            ..full
        }
    } else {
        full
    }
}

struct Parrot {
    flaw: Flaw,
    capabilities: Capabilities,
    token: SecretString,
    hook_secret: SecretString,
    cage: String,
    base: String,
    ports: Ports,
    mood: AtomicBool,
    seen: Mutex<Vec<String>>,
}

impl fmt::Debug for Parrot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = if self.is(Flaw::ShowsItsToken) { self.token.expose_secret() } else { "[secret]" };
        f.debug_struct("Parrot").field("cage", &self.cage).field("token", &token).finish_non_exhaustive()
    }
}

impl Parrot {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn plan_text(
        &self,
        text: &str,
        files: &[Attachment],
        reply_to: Option<&str>,
    ) -> Result<Vec<PlannedPart>, Unsendable> {
        let blank = if self.is(Flaw::SendsBlanks) { text.is_empty() } else { text.trim().is_empty() };
        if blank && files.is_empty() {
            return Err(Unsendable::Empty);
        }
        let limit = if self.is(Flaw::TakesOneUnitMore) { TextLimit::Scalars(101) } else { self.capabilities.text };
        check_text("text", if self.is(Flaw::CountsTextInBytes) { TextLimit::Utf8Bytes(100) } else { limit }, text)?;
        files.iter().try_for_each(|file| self.check_file(file))?;
        let mut files = files.to_vec();
        if self.is(Flaw::SortsFiles) {
            files.sort_by_key(|file| file.kind);
        }
        let caption =
            self.capabilities.caption.is_some_and(|limit| limit.fits(text) || self.is(Flaw::OverfillsCaptions));
        let captioned = files.first().is_some_and(|file| file.kind != MediaKind::Voice);
        let mut parts: Vec<(String, Vec<Attachment>)> =
            files.chunks(2).map(|files| (String::new(), files.to_vec())).collect();
        if !blank || parts.is_empty() {
            match parts.first_mut() {
                Some((words, _)) if caption && captioned => text.clone_into(words),
                Some(_) if self.is(Flaw::DropsWordsThatAreNoCaption) => {}
                Some(_) if self.is(Flaw::ChangesItsMind) && self.mood.fetch_xor(true, Ordering::SeqCst) => {
                    parts.insert(0, (text.to_owned(), Vec::new()));
                }
                _ => parts.push((text.to_owned(), Vec::new())),
            }
        }
        let part = |(n, (text, attachments)): (usize, (String, Vec<Attachment>))| {
            let reply_to = reply_to.filter(|_| n == 0).map(str::to_owned);
            PlannedPart::one(Content { body: Body::Text { text, attachments }, reply_to })
        };
        Ok(parts.into_iter().enumerate().map(part).collect())
    }

    fn check_file(&self, file: &Attachment) -> Result<(), Unsendable> {
        let Some(rule) = self.capabilities.media.iter().find(|rule| rule.kind == file.kind) else {
            let taken = self.is(Flaw::TakesStickersInSecret) && file.kind == MediaKind::Sticker;
            return if taken { Ok(()) } else { Err(not_supported(file.kind.as_str())) };
        };
        let mime = file.mime.clone().unwrap_or_default();
        if !rule.accepts(&mime) && !self.is(Flaw::IgnoresTypes) {
            return Err(Unsendable::MediaType { kind: file.kind.as_str(), mime, accepted: rule.mimes.clone() });
        }
        let by_url = matches!(file.source, transom_domain::MediaSource::Url { .. });
        let max = match rule.max_bytes_by_url {
            Some(max) if by_url && !self.is(Flaw::IgnoresTheLimitForAddresses) => max,
            _ if by_url => u64::MAX,
            _ => rule.max_bytes,
        };
        match file.size {
            Some(size) if size > max => Err(Unsendable::MediaSize { kind: file.kind.as_str(), size, max }),
            _ => Ok(()),
        }
    }

    fn check_choices(&self, choices: &Choices) -> Result<(), Unsendable> {
        let rule = self.capabilities.choices.ok_or_else(|| not_supported("choices"))?;
        if choices.list.is_some() && !self.is(Flaw::TakesListsInSecret) {
            return Err(not_supported("lists"));
        }
        let max = usize::from(rule.max_buttons);
        if choices.buttons.len() > max {
            return Err(Unsendable::TooMany { what: "buttons", count: choices.buttons.len(), max });
        }
        check_text("text", rule.text, &choices.text)?;
        for button in &choices.buttons {
            check_text("answer", rule.button_id, &button.id)?;
            if !self.is(Flaw::IgnoresLongLabels) {
                check_text("label", rule.button_title, &button.title)?;
            }
        }
        Ok(())
    }

    async fn request(&self, path: &str, body: Option<Value>) -> Result<HttpAnswer, SendError> {
        let method = if body.is_some() { reqwest::Method::POST } else { reqwest::Method::GET };
        let request = self.ports.http.request(method, &format!("{}/{}{path}", self.base, self.cage));
        let request = request.bearer_auth(self.token.expose_secret());
        let request = if let Some(body) = &body { request.json(body) } else { request };
        let retry = request.try_clone();
        let answer = self.ports.http.execute(request).await.map_err(|error| match (self.flaw, error.phase) {
            (Flaw::CallsNoConnectionUnknown, Phase::NothingWritten) => {
                SendError::OutcomeUnknown { detail: error.detail }
            }
            (Flaw::CallsSilenceAFailure, Phase::Written) if error.detail.contains("limit") => temporary(),
            (Flaw::CallsALostAnswerAFailure, Phase::Written) if !error.detail.contains("limit") => temporary(),
            (Flaw::CallsATruncatedAnswerAFailure, Phase::Answered) => temporary(),
            _ => error.into(),
        })?;
        let report = PlatformReport { status: Some(answer.status), code: None, message: "squawk".to_owned() };
        match answer.status {
            200..300 => Ok(answer),
            401 if self.is(Flaw::CallsBadTokensABadRequest) => Err(SendError::Invalid { report }),
            401 => Err(SendError::AuthFailed { report }),
            429 => {
                let wish = answer.retry_after_ms().filter(|_| !self.is(Flaw::ForgetsTheWish));
                Err(SendError::RateLimited { retry_after_ms: wish, report })
            }
            400..500 => Err(SendError::ContentRefused { report }),
            _ if self.is(Flaw::CallsAGatewayErrorAFailure) => Err(temporary()),
            status => {
                if let (true, Some(retry)) = (self.is(Flaw::TriesAgain), retry) {
                    let _ = self.ports.http.execute(retry).await;
                }
                let quoted = body.filter(|_| self.is(Flaw::QuotesItsRequestInErrors));
                Err(SendError::OutcomeUnknown { detail: format!("status {status} {}", quoted.unwrap_or_default()) })
            }
        }
    }

    async fn post(&self, body: Value) -> Result<Receipt, SendError> {
        let answer = self.request("/messages", Some(body)).await?;
        match answer.json::<Value>().and_then(|answer| Some(answer.get("id")?.as_str()?.to_owned())) {
            Some(_) if self.is(Flaw::InventsIds) => Ok(Receipt::with_id("mine-1")),
            Some(id) => Ok(Receipt::with_id(id)),
            None if self.is(Flaw::CallsGarbageASuccess) => Ok(Receipt::default()),
            None => Err(SendError::OutcomeUnknown { detail: "an answer that can't be read".to_owned() }),
        }
    }

    fn item(&self, event: &Value, raw: &RawInbound) -> Option<Inbound> {
        let text = |field: &str| event.get(field).and_then(Value::as_str).map(str::to_owned);
        let kind = text("type").unwrap_or_default();
        let id = text("id").unwrap_or_else(|| event.to_string());
        let at = event.get("at").and_then(Value::as_i64).and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let (item, opens) = match kind.as_str() {
            "text" | "tap" => {
                let content = Content::text(text("text").unwrap_or_default());
                let (thread, payload, group) = (String::new(), text("data"), None);
                (
                    Item::Message(InboundMessage {
                        thread,
                        payload,
                        group,
                        ..InboundMessage::new(id.clone(), content)
                    }),
                    true,
                )
            }
            "like" => (Item::Reaction { to: text("of").unwrap_or_default(), emoji: Some("❤".to_owned()) }, false),
            _ if self.is(Flaw::DropsUnknownEvents) => return None,
            _ => (Item::Unsupported { what: kind.clone(), from_customer: true }, false),
        };
        let item = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let again = seen.contains(&id);
            seen.push(id.clone());
            let forgotten = Item::Unsupported { what: "again".to_owned(), from_customer: false };
            if self.is(Flaw::Remembers) && again { forgotten } else { item }
        };
        let kind_of_opening = if self.is(Flaw::InventsOpenings) { "nonsense" } else { "message" };
        Some(Inbound {
            account: if self.is(Flaw::ForgetsTheAccount) { String::new() } else { self.cage.clone() },
            event_key: match self.flaw {
                Flaw::MakesKeysFromTheTimeOfReceipt => format!("{id} {}", raw.received_at),
                Flaw::MakesKeysFromTheKind => kind,
                _ => id,
            },
            at: at.filter(|_| !self.is(Flaw::ReadsItsOwnClock)).unwrap_or(raw.received_at),
            person: text("from")
                .map(|from| Person { addresses: vec![Address::new("perch", from)], ..Person::default() }),
            openings: if opens { vec![Opening::of(kind_of_opening)] } else { Vec::new() },
            item,
        })
    }
}

fn check_text(place: &'static str, limit: TextLimit, text: &str) -> Result<(), Unsendable> {
    if limit.fits(text) {
        return Ok(());
    }
    Err(Unsendable::TooLong { place, length: limit.length(text), max: limit.max(), unit: limit.unit() })
}

fn not_supported(what: &str) -> Unsendable {
    Unsendable::NotSupported { what: what.to_owned() }
}

fn temporary() -> SendError {
    SendError::Temporary { report: PlatformReport { status: None, code: None, message: "tired".to_owned() } }
}

#[async_trait]
impl Channel for Parrot {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        let known = &self.capabilities;
        let quotes = known.quotes || self.is(Flaw::QuotesInSecret);
        let takes = |offered: bool, what: &str| if offered { Ok(()) } else { Err(not_supported(what)) };
        takes(quotes || content.reply_to.is_none(), "quotes")?;
        match &content.body {
            Body::Text { text, attachments } => return self.plan_text(text, attachments, content.reply_to.as_deref()),
            Body::Choices(choices) => self.check_choices(choices)?,
            Body::Location(place) => {
                takes(known.location && !(self.is(Flaw::RefusesNamedPlaces) && place.name.is_some()), "places")?;
            }
            Body::Contacts { .. } => takes(known.contacts && !self.is(Flaw::RefusesCards), "cards")?,
            Body::Reaction(reaction) => {
                let back = reaction.emoji.is_none() && self.is(Flaw::NeverTakesAReactionBack);
                takes(known.reactions && !back, "reactions")?;
            }
            Body::Template(_) => {
                takes(self.is(Flaw::SendsTemplatesAsText) || self.is(Flaw::HidesItsTemplates), "templates")?;
            }
            Body::Mail(_) | Body::Unsupported { .. } => takes(self.is(Flaw::SendsWhatItCannotRead), "the unreadable")?,
        }
        Ok(vec![PlannedPart::one(content.clone())])
    }

    fn templates(&self) -> Option<&dyn TemplateCatalog> {
        self.is(Flaw::HidesItsTemplates).then_some(self)
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let refused =
            |message: String| SendError::Invalid { report: PlatformReport { status: None, code: None, message } };
        match (self.plan(part.content()), &part.content().body) {
            (Ok(parts), _) if parts.len() == 1 => {}
            (Ok(_), _) => return Err(refused("more than one request".to_owned())),
            (Err(Unsendable::TooLong { .. }), Body::Text { .. }) if self.is(Flaw::SendsTextThatItDoesNotPlan) => {}
            (Err(error), _) => return Err(refused(error.to_string())),
        }
        let to = match part.to().address("perch") {
            Some(to) => to,
            None if self.is(Flaw::WritesToAnybody) => &part.to().addresses[0].value,
            None => return Err(refused("no perch is known of this person".to_owned())),
        };
        let mut content = serde_json::to_value(part.content()).unwrap();
        if self.is(Flaw::EscapesText) {
            let text = content["body"]["text"].as_str().map(|text| text.replace('&', "&amp;"));
            content["body"]["text"] = text.into();
        }
        if let (true, Some(name)) = (self.is(Flaw::SignsInTheText), part.sender_name()) {
            content["body"]["text"] =
                format!("{name}: {}", content["body"]["text"].as_str().unwrap_or_default()).into();
        }
        let files = content["body"]["attachments"].as_array().cloned().unwrap_or_default();
        if self.is(Flaw::SplitsParts) && files.len() > 1 {
            for file in files {
                content["body"]["attachments"] = json!([file]);
                self.post(json!({"to": to, "content": content})).await?;
            }
            return Ok(Receipt::default());
        }
        self.post(json!({"to": to, "content": content})).await
    }

    fn verify(&self, call: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        let proof = call.header("x-parrot-signature").unwrap_or_default();
        let secret = self.hook_secret.expose_secret();
        if self.is(Flaw::WorksWithoutASecret) && secret.is_empty() {
            return Ok(Answer::accepted());
        }
        let contains = |word: &str| String::from_utf8_lossy(call.body).contains(word);
        if self.is(Flaw::RefusesTaps) && contains("\"tap\"")
            || self.is(Flaw::RefusesUnknownEvents) && !contains("events")
        {
            return Err(VerifyError::Wrong);
        }
        if self.is(Flaw::TakesAShorterProof) && proof.len() == 63 && sign(secret, call.body).starts_with(proof) {
            return Ok(Answer::accepted());
        }
        signature::hmac_sha256_hex([secret], call.body, proof).map(|()| Answer::accepted())
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        if let (true, Some(proof)) = (self.is(Flaw::VerifiesWhileParsing), raw.header("x-parrot-signature")) {
            signature::hmac_sha256_hex([self.hook_secret.expose_secret()], &raw.body, proof)
                .map_err(ParseError::new)?;
        }
        let panics = raw.body.starts_with(b"{") && !raw.body.ends_with(b"}");
        assert!(!(self.is(Flaw::Panics) && panics), "half a seed");
        if self.is(Flaw::QuotesTheBodyInParseErrors) {
            let known: Result<Value, _> = json::read(&raw.body);
            if known.is_ok_and(|body| body.get("events").is_none_or(|events| !events.is_array())) {
                let body = String::from_utf8_lossy(&raw.body).into_owned();
                return Err(ParseError::new(format!("no list of events in {body}")));
            }
        }
        let body: Value = match json::read(&raw.body) {
            Err(_) if self.is(Flaw::ReadsGarbage) => json!({"events": [{"type": "noise"}]}),
            body => body?,
        };
        let events =
            body.get("events").and_then(Value::as_array).ok_or_else(|| ParseError::new("no list of events"))?;
        Ok(events.iter().filter_map(|event| self.item(event, raw)).collect())
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        self.request("", None).await?;
        let key = if self.is(Flaw::ChecksAnotherAccount) { "another" } else { &self.cage };
        Ok(AccountInfo { external_key: Some(key.to_owned()), ..AccountInfo::default() })
    }
}

fn sign(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A catalogue of which the platform says nothing.
#[async_trait]
impl TemplateCatalog for Parrot {
    async fn list(&self) -> Result<Vec<TemplateDefinition>, SendError> {
        Ok(Vec::new())
    }
}

fn a_template() -> Content {
    Content::template(TemplateMessage {
        name: "greeting".to_owned(),
        language: "en".to_owned(),
        category: "utility".to_owned(),
        parameters: TemplateParameters::default(),
        rendered: None,
        buttons: Vec::new(),
    })
}

/// The parrots' platform over HTTP.
struct Jungle {
    server: Server,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    accepted: Mutex<Vec<Accepted>>,
    fault: Mutex<Option<Fault>>,
}

impl State {
    fn answer(&self, request: &Request) -> Reply {
        if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return Reply::json(401, &json!({"error": "who are you"}));
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/cage-1") => return Reply::json(200, &json!({"name": "Polly"})),
            ("POST", "/cage-1/messages") => {}
            _ => return Reply::json(404, &json!({"error": "no such branch"})),
        }
        let fault = self.fault.lock().unwrap().take();
        match fault {
            Some(Fault::Gateway) => return Reply::text(502, "<html>Bad Gateway</html>"),
            Some(Fault::RateLimited { retry_after }) => {
                let headers = vec![("retry-after", retry_after.to_string())];
                return Reply::Answer { status: 429, headers, body: Vec::new() };
            }
            _ => {}
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let mut accepted = self.accepted.lock().unwrap();
        let id = format!("m-{}", accepted.len() + 1);
        let text = body["content"]["body"]["text"].as_str().map(str::to_owned);
        accepted.push(Accepted { provider_id: Some(id.clone()), text });
        let answer = Reply::json(201, &json!({"id": id}));
        match fault {
            Some(Fault::LoseAnswer) => Reply::Nothing,
            Some(Fault::Garbage) => Reply::text(200, "<<<<"),
            Some(Fault::Truncated) => Reply::Short { promised: 20, body: b"{\"id\":".to_vec() },
            Some(Fault::Silence) => Reply::Late(Duration::from_hours(1), Box::new(answer)),
            _ => answer,
        }
    }
}

#[async_trait]
impl Double for Jungle {
    async fn requests(&self) -> usize {
        self.server.requests().iter().filter(|request| request.method == "POST").count()
    }

    async fn accepted(&self) -> Vec<Accepted> {
        self.state.accepted.lock().unwrap().clone()
    }

    async fn fail_next(&self, fault: Fault) {
        let deaf = fault == Fault::Refused;
        self.server.listen(!deaf).await;
        *self.state.fault.lock().unwrap() = (!deaf).then_some(fault);
    }
}

/// A parrot in its jungle.
pub(crate) async fn harness(parrots: Parrots, http: HttpClient) -> Harness {
    let state: Arc<State> = Arc::default();
    let server = Server::start({
        let state = Arc::clone(&state);
        move |request| state.answer(request)
    })
    .await;
    let ports = Ports {
        http,
        media: Arc::new(SampleFiles),
        endpoints: Arc::new([("parrot".to_owned(), server.address.parse().unwrap())].into()),
        ..Ports::system().unwrap()
    };
    let settings =
        SettingValues::default().with("token", TOKEN).with("hook_secret", HOOK_SECRET).with("cage", "cage-1");
    let event = |name, event: Value| {
        let at = event["at"].as_i64().map(|at| OffsetDateTime::from_unix_timestamp(at).unwrap());
        Sample { name, body: json!({"cage": "cage-1", "events": [event]}).to_string().into(), at }
    };
    Harness {
        platform: Arc::new(parrots),
        revoked: settings.clone().with("token", "parrot-token-gone"),
        settings,
        account: "cage-1".to_owned(),
        identity: Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("perch", "branch-4711")],
        },
        quotable: Some("m-0".to_owned()),
        template: (parrots.flaw == Flaw::HidesItsTemplates).then(a_template),
        policy: "parrot",
        opening: ("message", None),
        webhooks: Webhooks {
            secret: "hook_secret",
            sign: Box::new(|body| {
                SignedCall::json(body.to_vec()).with_header("x-parrot-signature", &sign(HOOK_SECRET, body))
            }),
            proof: Proof::Header("x-parrot-signature"),
            covers_body: true,
            events: vec![
                event(
                    "a text",
                    json!({"id": "e-1", "at": 1_700_000_000, "type": "text", "from": "b-1", "text": "hello"}),
                ),
                event(
                    "another",
                    json!({"id": "e-2", "at": 1_700_000_001, "type": "text", "from": "b-1", "text": "hi"}),
                ),
                event("a tap", json!({"id": "e-3", "at": 1_700_000_002, "type": "tap", "from": "b-1", "data": "yes"})),
                event("a like", json!({"id": "e-4", "type": "like", "from": "b-1", "of": "m-1"})),
            ],
            unknown: vec![event("a dance", json!({"id": "e-5", "at": 1_700_000_003, "type": "dance", "from": "b-1"}))],
            states_retry_after: true,
        },
        double: Arc::new(Jungle { server, state }),
        ports,
    }
}
