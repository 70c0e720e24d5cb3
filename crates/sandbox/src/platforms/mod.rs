//! The platforms, one module each: its API base, its accounts' settings, and the control verbs that it alone has.
//!
//! A new platform is a module that implements `Personality`, with a line for it here and one in `all`. Nothing else in
//! this crate names it.

pub mod email;
pub mod http;
pub mod instagram;
pub mod line;
pub mod messenger;
pub mod sms;
pub mod telegram;
pub mod tiktok;
pub mod viber;
pub mod webchat;
pub mod wechat;
pub mod whatsapp;

pub(crate) mod kit;
mod pages;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::{ChatKey, Progress};
use crate::http::{Call, Reply};
use crate::ledger::Window;
use crate::people::Customer;
use crate::sandbox::{Serve, Shared};
use crate::world::{Account, World};

/// The platforms that this sandbox stands in for.
pub(crate) fn all() -> Vec<Box<dyn Personality>> {
    // One line each, so that two new ones do not meet.
    #[rustfmt::skip]
    let all: Vec<Box<dyn Personality>> = vec![
        Box::new(whatsapp::WhatsApp),
        Box::new(telegram::Telegram),
        Box::new(line::Line),
        Box::new(sms::Sms),
        Box::new(tiktok::TikTok),
        Box::new(viber::Viber),
        Box::new(http::Http),
        Box::new(email::Email),
        Box::new(wechat::WeChat),
        Box::new(messenger::personality()),
        Box::new(instagram::personality()),
        Box::new(webchat::Webchat),
    ];
    all
}

/// One platform's side: its wire format, its rules, its moods.
///
/// A personality holds no state of its own; what it needs lies in the [`World`], on a shelf of its own type.
/// The rules are written from the platform's documents, in plain code over the raw history. They share nothing with the
/// rules engine of the service under test, since they are there to check it.
#[async_trait]
pub(crate) trait Personality: Send + Sync + 'static {
    /// The platform's name, which is also the first piece of its URLs.
    fn name(&self) -> &'static str;

    /// Gives a new customer an address on this platform.
    fn adopt(&self, world: &mut World, customer: &mut Customer);

    /// Opens an account from its settings and answers with its id. What was left out is made up.
    fn open(&self, world: &mut World, name: Option<&str>, settings: Value) -> Result<String, Problem>;

    /// Whether the platform tells the business how far a message came.
    fn has_receipts(&self) -> bool {
        true
    }

    /// A call's path for the log, without what is secret in it.
    fn masked(&self, path: &str) -> String {
        path.to_owned()
    }

    /// The account's settings in full. What a client authenticates with is named `access_token` or `token`.
    fn settings(&self, world: &mut World, account: &str) -> Value;

    /// Changes the settings that are named.
    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem>;

    /// Closes an account.
    fn close(&self, world: &mut World, account: &str);

    /// What answers at a port of the platform's own, where its protocol is not HTTP. It makes each command a [`Call`] and has
    /// it [answered](crate::sandbox::answered) like one: so faults, records and the operator's switches are the same.
    fn own_port(&self) -> Option<Serve> {
        None
    }

    /// Which account a call is for, and whether it sends a message. The error is the platform's answer to a call for none.
    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply>;

    /// Carries a call out.
    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply;

    /// The platform's words for a refusal that the sandbox was told to make.
    fn refuse(&self, refusal: &Refusal) -> Reply;

    /// A customer does something: the world changes and webhooks leave.
    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem>;

    /// A receipt by hand.
    fn receipt(&self, world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem>;

    /// What the platform would answer now, by window and quota, from the raw history.
    fn would_accept(&self, world: &mut World, key: &ChatKey, ask: &Ask) -> Verdict;

    /// The headers that prove a webhook's origin; `badly`: that fail to.
    fn sign(&self, world: &mut World, account: &Account, body: &[u8], badly: bool) -> Vec<(&'static str, String)>;

    /// A webhook was taken, and answered with this: some platforms act on what the answer says.
    fn answered(&self, _world: &mut World, _account: &str, _event: &str, _body: &str, _answer: &[u8]) {}

    /// The same where the address of the call is a part of what is signed.
    fn sign_call(
        &self,
        world: &mut World,
        account: &Account,
        wire: &Wire,
        _url: &str,
        badly: bool,
    ) -> Vec<(&'static str, String)> {
        self.sign(world, account, wire.body.as_bytes(), badly)
    }

    /// A webhook as it goes over the wire, from its body as it was reported and the number of tries before.
    fn wire(&self, body: &str, _tries: usize) -> Wire {
        Wire::json(body)
    }

    /// The same with its proof, where that stands in the address, or where the body is encrypted.
    fn seal(&self, _world: &mut World, _account: &Account, wire: Wire, _url: &str, _badly: bool) -> Wire {
        wire
    }

    /// What this side does by itself for as long as an account exists, where customers call the service.
    fn accompany(&self, _shared: Arc<Shared>, _account: String) -> Option<BoxFuture<'static, ()>> {
        None
    }

    /// A control verb of this platform alone.
    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem>;
}

/// A webhook as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) content_type: &'static str,
    /// Another address than the account's.
    pub(crate) url: Option<String>,
    pub(crate) body: String,
}

impl Wire {
    /// JSON, to the account's own address.
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self { content_type: "application/json", url: None, body: body.into() }
    }
}

/// Where a call goes.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// The account, if the call names one.
    pub(crate) account: Option<String>,
    /// It sends a message to a customer.
    pub(crate) sends: bool,
    /// A failure that the caller is to learn of later: code and words.
    pub(crate) fails_later: Option<(i64, String)>,
}

/// A refusal that the sandbox was told to make.
#[derive(Debug, Clone)]
pub(crate) enum Refusal {
    /// Too fast.
    RateLimited { retry_after: Option<u32> },
    /// The sandbox accepts nothing at present.
    NotAccepting,
    /// The platform's error with this code.
    Error { code: i64, detail: Option<String> },
}

/// A receipt by hand.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptOrder {
    /// The message of the business.
    pub message_id: String,
    /// How far it came.
    pub status: Progress,
    /// Why it failed, by the platform's code.
    #[serde(default)]
    pub code: Option<i64>,
    /// The receipt's own time; the present if left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
}

impl ReceiptOrder {
    /// A receipt with the present time.
    pub fn new(message_id: impl Into<String>, status: Progress) -> Self {
        Self { message_id: message_id.into(), status, code: None, at: None }
    }

    /// A failure with this code.
    pub fn failed(message_id: impl Into<String>, code: i64) -> Self {
        Self { code: Some(code), ..Self::new(message_id, Progress::Failed) }
    }
}

/// What one might send.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Free form, tagged or a template.
    pub kind: AskKind,
    /// The template's category.
    #[serde(default)]
    pub category: Option<String>,
    /// The message tag, in the platform's spelling (`HUMAN_AGENT`).
    #[serde(default)]
    pub tag: Option<String>,
    /// A business connection or group.
    #[serde(default)]
    pub via: Option<String>,
}

impl Ask {
    /// Free-form content.
    pub fn free_form() -> Self {
        Self::default()
    }

    /// A template of this category.
    pub fn template(category: &str) -> Self {
        Self { kind: AskKind::Template, category: Some(category.to_owned()), ..Self::default() }
    }

    /// Content under this message tag.
    pub fn tagged(tag: &str) -> Self {
        Self { kind: AskKind::Tagged, tag: Some(tag.to_owned()), ..Self::default() }
    }
}

/// See [`Ask`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    /// Anything the sender writes.
    #[default]
    FreeForm,
    /// Content under a message tag, where the platform has such.
    Tagged,
    /// An approved template.
    Template,
}

/// What the platform would answer, by window, quota and country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// It would be taken, as far as window, quota and country go.
    pub allowed: bool,
    /// Why not.
    pub because: Option<Because>,
    /// The platform's code for that.
    pub code: Option<i64>,
    /// The window.
    pub window: Window,
    /// The quota, where the message would count.
    pub quota: Option<QuotaView>,
    /// The customer blocks the account. Not part of `allowed`.
    pub blocked: bool,
    /// The customer wants no marketing. Not part of `allowed`.
    pub opted_out: bool,
}

/// Why a message would not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// The window is over.
    WindowClosed,
    /// There never was one.
    NeverOpened,
    /// The quota is used up.
    Quota,
    /// There is nothing of the kind where they live.
    Country,
}

/// A quota at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuotaView {
    /// The limit.
    pub limit: u32,
    /// How much of it is used.
    pub used: u32,
    /// This customer is among those counted, and costs nothing more.
    pub counts_me: bool,
}
