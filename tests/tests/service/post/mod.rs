//! A small post office: a channel of letters whose mail is JSON, and a desk on it that acts only when it is told to.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use transom_channel::{
    AccountInfo, AddressRule, Answer, Answered, Capabilities, Channel, ContactField, Inbound, InboundMessage, Item,
    MediaBytes, MediaRule, Opening, OutboundPart, Pacing, ParseError, Patience, Person, PlannedPart, Platform,
    PlatformReport, Ports, Rate, RawInbound, Receipt, ReceiptFor, ReceiptState, Receipts, SendError, SettingField,
    SettingScope, SettingValues, SettingsError, Settling, TextLimit, Unsendable, VerifyError, WebhookCall,
};
use transom_desk::channels::{self, NewChannel};
use transom_desk::dispatch::Dispatcher;
use transom_desk::receive::{self, Applied};
use transom_desk::{
    Caller, Desk, DeskConfig, DeskError, Draft, Files, Links, Registry, Sent, Target, send, workspaces,
};
use transom_domain::{
    Address, Attachment, Body, ChannelAccount, Clock as _, Content, ConversationId, Mail, MediaKind, MediaSource,
    MessageId, Profile, SenderAddress, SettableClock, UuidV7,
};
use transom_storage::test_support::{NOON, TestDatabase};
use transom_storage::{Blobs, CallSource, ConversationQuery, NewCall, Reader, StoredConversation, StoredMessage};
use transom_windows::Policies;

const POLICY: &str = r#"
name     = "post"
platform = "post"
version  = "2026-01-01"
about    = "Letters at any time."
sources  = [{ document = "invented", sheet = "none", read = "2026" }]

[kinds]
message = { implies = ["wrote_before", "subscribed"], about = "a letter" }

[[grant]]
name   = "letter"
about  = "A letter."
basis  = "free_form"
"#;

/// What left: whose envelope it was, and what it said.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub(crate) to: String,
    pub(crate) part: String,
    pub(crate) id: String,
    pub(crate) mail: Mail,
    pub(crate) reply_to: Option<String>,
}

/// What the post office does, shared with the test.
#[derive(Debug, Default)]
pub(crate) struct Office {
    pub(crate) left: Mutex<Vec<Left>>,
    /// Addresses that it refuses for now, and those in copy that it refuses for good.
    pub(crate) busy: Mutex<Vec<String>>,
    pub(crate) gone: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Post(Arc<Office>);

const ACCOUNT: SettingField = SettingField {
    name: "box",
    label: "box",
    help: "",
    secret: false,
    scope: SettingScope::Account,
    required: true,
    external_key: true,
};

impl Platform for Post {
    fn name(&self) -> &'static str {
        "post"
    }

    fn label(&self) -> &'static str {
        "Post"
    }

    fn policies(&self) -> &'static [(&'static str, &'static str)] {
        &[("post.toml", POLICY)]
    }

    fn settings(&self) -> &'static [SettingField] {
        &[ACCOUNT]
    }

    fn connect(&self, _: &SettingValues, _: &Ports) -> Result<Arc<dyn Channel>, SettingsError> {
        let sender = |address: &str, default| SenderAddress {
            address: address.into(),
            name: Some("Shop".into()),
            reply_to: None,
            default,
        };
        let senders = vec![sender("help@shop.test", true), sender("sales@shop.test", false)];
        Ok(Arc::new(Counter { office: self.0.clone(), capabilities: capabilities(), senders }))
    }
}

#[derive(Debug)]
struct Counter {
    office: Arc<Office>,
    capabilities: Capabilities,
    senders: Vec<SenderAddress>,
}

fn capabilities() -> Capabilities {
    let many = NonZeroU32::new(1_000).unwrap();
    let rate = Rate { burst: many, each: Duration::MILLISECOND };
    let any =
        |kind| MediaRule { kind, mimes: vec!["*/*"], max_bytes: 1_000_000, max_bytes_by_url: None, caption: true };
    Capabilities {
        text: TextLimit::Scalars(10_000),
        caption: Some(TextLimit::Scalars(10_000)),
        media: vec![any(MediaKind::Document), any(MediaKind::Image)],
        files_per_part: 10,
        choices: None,
        location: false,
        contacts: false,
        reactions: false,
        quotes: true,
        threads: true,
        shows_sender: true,
        receipts: Receipts { delivered: true, read: false, failed: true },
        settling: Settling { dedupes_for: None, correlates: true, wait: Duration::MINUTE },
        pacing: Pacing { account: rate, sound_and_film: None, recipient: rate, concurrency: many },
        addresses: vec![AddressRule { kind: "mailbox", can_start: true, from: Some(ContactField::Email) }],
    }
}

#[async_trait]
impl Channel for Counter {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn senders(&self) -> &[SenderAddress] {
        &self.senders
    }

    fn patience(&self) -> Patience {
        Patience::Postal
    }

    fn external_key(&self) -> Option<String> {
        Some("box-1".into())
    }

    /// The customer and those in copy together, then each blind reader alone.
    fn plan(&self, content: &Content) -> Result<Vec<PlannedPart>, Unsendable> {
        let Body::Mail(mail) = &content.body else {
            return Err(Unsendable::NotSupported { what: "anything but letters".into() });
        };
        let part = |bcc: Vec<String>| {
            let html = mail.html.as_ref().map(|html| html.replace("<script>", ""));
            PlannedPart::one(Content { body: Body::Mail(Mail { bcc, html, ..mail.clone() }), ..content.clone() })
        };
        let blind = mail.bcc.iter().map(|reader| part(vec![reader.clone()]));
        Ok([part(Vec::new())].into_iter().chain(blind).collect())
    }

    async fn send(&self, part: &OutboundPart) -> Result<Receipt, SendError> {
        let Body::Mail(mail) = &part.content().body else { panic!("no letter") };
        let to = mail.bcc.first().cloned().unwrap_or_else(|| part.to().addresses[0].value.clone());
        let report = |message: &str| PlatformReport { status: None, code: Some("550".into()), message: message.into() };
        if self.office.busy.lock().unwrap().contains(&to) {
            return Err(SendError::Temporary { report: report("come back later") });
        }
        let gone = self.office.gone.lock().unwrap().clone();
        if gone.contains(&to) {
            return Err(SendError::Unreachable { report: report("no such box") });
        }
        let id = format!("<{}@shop.test>", part.message().expect("a part of a message").uuid());
        let reply_to = part.content().reply_to.clone();
        let left = Left { to, part: part.correlation(), id: id.clone(), mail: mail.clone(), reply_to };
        self.office.left.lock().unwrap().push(left);
        let refused = mail.cc.iter().filter(|reader| mail.bcc.is_empty() && gone.contains(reader));
        let refused = refused.map(|reader| (reader.clone(), report("no such box"))).collect();
        Ok(Receipt { refused, ..Receipt::with_id(id) })
    }

    fn verify(&self, _: &WebhookCall<'_>) -> Result<Answer, VerifyError> {
        Ok(Answer::accepted())
    }

    fn parse(&self, raw: &RawInbound) -> Result<Vec<Inbound>, ParseError> {
        let call: Value = serde_json::from_slice(&raw.body).unwrap();
        Ok(vec![inbound(&call)])
    }

    async fn check(&self) -> Result<AccountInfo, SendError> {
        Ok(AccountInfo { name: None, external_key: None, limits: Vec::new(), at: None })
    }
}

fn inbound(call: &Value) -> Inbound {
    let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| -> Vec<String> {
        call[name].as_array().into_iter().flatten().map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    let person = (!text("from").is_empty())
        .then(|| Person { addresses: vec![Address::new("mailbox", text("from"))], profile: Profile::default() });
    let mut inbound = Inbound {
        account: "box-1".into(),
        event_key: format!("{} {}", text("id"), text("from").to_lowercase()),
        at: NOON + Duration::seconds(call["at"].as_i64().unwrap_or_default()),
        person,
        openings: Vec::new(),
        item: Item::Unsupported { what: "nothing".into(), from_customer: false },
    };
    let report = PlatformReport { status: None, code: Some("5.1.1".into()), message: "no such box".into() };
    let part = call["part"].as_str().map(str::to_owned);
    if let Some(of) = call["bounce"].as_str() {
        let state = ReceiptState::Failed(SendError::Unreachable { report });
        let of = ReceiptFor::Message { provider_id: of.to_owned(), correlation: part };
        inbound.item = Item::Receipt { of, state };
        return inbound;
    }
    if let Some(of) = call["delivered"].as_str() {
        let of = ReceiptFor::Message { provider_id: of.to_owned(), correlation: part };
        inbound.item = Item::Receipt { of, state: ReceiptState::Delivered };
        return inbound;
    }
    let references = list("references");
    let enclosed: Vec<MediaBytes> = list("files")
        .into_iter()
        .map(|bytes| MediaBytes { bytes: bytes.into(), mime: "text/csv".into(), file_name: Some("../a.csv".into()) })
        .collect();
    let count = u32::try_from(enclosed.len()).unwrap();
    let file = |index| Attachment {
        kind: MediaKind::Document,
        source: MediaSource::Enclosed { index },
        mime: None,
        file_name: None,
        size: None,
    };
    let mail = Mail {
        subject: call["subject"].as_str().map(str::to_owned),
        text: text("text"),
        from: Some(text("from")),
        to: list("to"),
        cc: list("cc"),
        references: references.clone(),
        // The first file is the letter itself.
        source: (count > 0).then(|| file(0)),
        attachments: (1..count).map(file).collect(),
        ..Mail::default()
    };
    let automatic = call["automatic"].as_bool().unwrap_or_default();
    if !automatic {
        inbound.openings = vec![Opening::of("message")];
    }
    let named = references.iter().rev().cloned().map(Answered::Message);
    inbound.item = Item::Message(InboundMessage {
        thread: references.first().cloned().unwrap_or_else(|| text("id")),
        answers: part.into_iter().map(Answered::Part).chain(named).collect(),
        automatic,
        enclosed,
        ..InboundMessage::new(text("id"), Content { body: Body::Mail(mail), reply_to: None })
    });
    inbound
}

/// A desk with one mailbox.
pub(crate) struct World {
    pub(crate) desk: Desk,
    pub(crate) caller: Caller,
    pub(crate) account: ChannelAccount,
    pub(crate) office: Arc<Office>,
    pub(crate) clock: SettableClock,
    pub(crate) folder: TempDir,
    dispatcher: Dispatcher,
}

impl World {
    pub(crate) async fn open(db: &TestDatabase) -> Self {
        Self::with_files(db, Some(1_000)).await
    }

    /// With a place for files of at most so many bytes, or without one.
    pub(crate) async fn with_files(db: &TestDatabase, max_bytes: Option<u64>) -> Self {
        let (folder, clock, office) =
            (tempfile::tempdir().unwrap(), SettableClock::frozen(NOON), Arc::new(Office::default()));
        let mut policies = Policies::builtin().unwrap();
        policies.add("post.toml", POLICY).unwrap();
        let ports = Ports { clock: Arc::new(clock.clone()), ..Ports::system().unwrap() };
        let files = max_bytes.map(|max_bytes| Files {
            blobs: Blobs::in_folder(folder.path().join("files")).unwrap(),
            max_bytes,
            links: Links::new(b"links", Duration::HOUR, None),
        });
        let registry = Registry::new([Arc::new(Post(office.clone())) as Arc<dyn Platform>]);
        let desk = Desk::with_files(db.open().await, policies, registry, ports, DeskConfig::default(), files);
        let (caller, _) = workspaces::create(&desk, "Acme", "Ada").await.unwrap();
        let new = NewChannel {
            platform: "post".into(),
            name: "Mail".into(),
            settings: [("box".to_owned(), SecretString::from("box-1"))].into(),
            ..NewChannel::default()
        };
        let account = channels::connect(&desk, &caller, new, None).await.unwrap().account;
        let dispatcher = Dispatcher::new(desk.clone());
        Self { desk, caller, account, office, clock, folder, dispatcher }
    }

    pub(crate) fn reader(&self) -> Reader {
        self.desk.storage().reader(&self.caller.scope)
    }

    /// Puts what came into the journal, a call each.
    pub(crate) async fn journal(&self, calls: &[Value]) {
        for call in calls {
            let call = NewCall {
                id: transom_domain::JournalId::new(&UuidV7),
                connection: self.account.connection,
                account: None,
                source: CallSource::Webhook,
                headers: Vec::new(),
                body: call.to_string().into_bytes().into(),
                received_at: self.clock.now(),
            };
            self.desk.storage().append_call(&self.caller.scope, &call).await.unwrap();
        }
    }

    pub(crate) async fn apply(&self) -> Applied {
        receive::apply_waiting(&self.desk).await.unwrap()
    }

    /// What came, applied.
    pub(crate) async fn comes(&self, calls: &[Value]) {
        self.journal(calls).await;
        let applied = self.apply().await;
        assert_eq!((applied.calls as usize, applied.quarantined), (calls.len(), 0));
    }

    pub(crate) async fn answer(&self, conversation: ConversationId, draft: Draft) -> Result<Sent, DeskError> {
        send(&self.desk, &self.caller, Target::Conversation(conversation), draft, None).await
    }

    /// Sends until nothing is due.
    pub(crate) async fn dispatch(&self) {
        while self.dispatcher.run_once().await.unwrap() > 0 {}
    }

    pub(crate) fn left(&self) -> Vec<Left> {
        self.office.left.lock().unwrap().clone()
    }

    pub(crate) async fn conversations(&self) -> Vec<StoredConversation> {
        let query = ConversationQuery { limit: 100, ..ConversationQuery::new(self.clock.now()) };
        self.reader().conversations(&query).await.unwrap()
    }

    pub(crate) async fn conversation(&self, id: ConversationId) -> StoredConversation {
        self.reader().conversation(id).await.unwrap().unwrap()
    }

    pub(crate) async fn message(&self, id: MessageId) -> StoredMessage {
        self.reader().message(id).await.unwrap().unwrap()
    }

    /// The message that came with this id.
    pub(crate) async fn received(&self, provider_id: &str) -> StoredMessage {
        let (id, _) = self.reader().message_by_provider_id(self.account.id, provider_id).await.unwrap().unwrap();
        self.message(id).await
    }

    /// What happened in a conversation, in the words of its activities.
    pub(crate) async fn activities(&self, conversation: ConversationId) -> Vec<String> {
        let messages = self.reader().messages(conversation, None, 100).await.unwrap();
        let told = messages.iter().filter_map(|message| message.extra["activity"].as_str().map(str::to_owned));
        told.collect()
    }
}

/// A letter of somebody's, answering others.
pub(crate) fn letter(id: &str, from: &str, references: &[&str], text: &str) -> Value {
    json!({ "id": id, "from": from, "to": ["help@shop.test"], "subject": "Order 7", "references": references, "text": text })
}

/// The same with more to it.
pub(crate) fn with(mut call: Value, more: Value) -> Value {
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call
}

pub(crate) fn words(text: &str) -> Draft {
    Draft { text: Some(text.into()), ..Draft::default() }
}

pub(crate) fn mail(message: &StoredMessage) -> &Mail {
    match &message.message.content.body {
        Body::Mail(mail) => mail,
        other => panic!("no letter: {other:?}"),
    }
}

pub(crate) fn later(by: Duration) -> OffsetDateTime {
    NOON + by
}
