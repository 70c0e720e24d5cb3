//! A channel on stage: the sandbox with one account and one customer, and the channel between them.
//!
//! What the tests of channels share, and nothing that ships. A channel's `tests/it/world.rs` says what is its own (the account's
//! settings on both sides, how the platform names the customer), [`Stage::set`] starts it all over real HTTP, and
//! [`Stage::double`] is what the conformance suite sees behind the scenes.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use transom_channel::{Platform, SettingValues};
//! # use transom_stage::{Set, Stage};
//! # use transom_sandbox::{NewAccount, NewCustomer};
//! # async fn example(pigeon: Arc<dyn Platform>) {
//! let stage = Stage::set(Set {
//!     settings: SettingValues::default().with("token", "t"),
//!     ..Set::new(
//!         pigeon,
//!         NewAccount::on("pigeon").settings(serde_json::json!({"token": "t"})),
//!         NewCustomer::named("ann", "Ann Lee", "+15005550006"),
//!         &[("ring", "A-7")],
//!     )
//! })
//! .await;
//! stage.writes("Is it there?");
//! # }
//! ```
#![expect(clippy::unwrap_used, reason = "a stage that can't be set fails its test")]

mod double;
mod files;
mod why;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use transom_channel::conformance::{PATIENCE, SampleFiles, Tokens};
use transom_channel::http::HttpClient;
use transom_channel::outside::{OutsideClient, OutsideRules};
use transom_channel::{
    Channel, Inbound, MediaPort, OutboundPart, Platform, Ports, RawInbound, Receipt, SendError, SettingValues,
    subject_of,
};
use transom_domain::{
    Address, ChannelAccountId, ContactId, Content, Identity, IdentityId, PartId, SettableClock, TemplateParameters,
    UuidV7,
};
use transom_sandbox::{AccountPatch, Action, CallRecord, Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_windows::{Account, Ask, Basis, Event, Facts, Permit, Policies, What};

pub use files::PublicFiles;
pub use why::Why;

/// What a stage is set with.
#[derive(Debug)]
pub struct Set {
    /// The channel's platform.
    pub platform: Arc<dyn Platform>,
    /// The account at the other side, as the sandbox has it.
    pub account: NewAccount,
    /// The customer, who has written to nobody yet.
    pub customer: NewCustomer,
    /// What the platform granted the account, as the policy names it.
    pub features: &'static [&'static str],
    /// How the platform names the customer: (kind, value), best first.
    pub addresses: Vec<(&'static str, &'static str)>,
    /// With what the channel connects.
    pub settings: SettingValues,
    /// Everybody's clock; one that runs unless another is given.
    pub clock: SettableClock,
    /// The files; the suite's, without public addresses, unless others are given.
    pub media: Arc<dyn MediaPort>,
    /// How long the channel waits for answers; as the suite wants it unless it is given.
    pub patience: Duration,
}

impl Set {
    /// An account, a customer, and how the platform names them.
    pub fn new(
        platform: Arc<dyn Platform>,
        account: NewAccount,
        customer: NewCustomer,
        addresses: &[(&'static str, &'static str)],
    ) -> Self {
        let (addresses, settings, clock) = (addresses.to_vec(), SettingValues::default(), SettableClock::running());
        let (features, media, patience) = (&[][..], Arc::new(SampleFiles), PATIENCE);
        Self { platform, account, customer, features, addresses, settings, clock, media, patience }
    }
}

/// A running sandbox with one account and one customer.
#[derive(Debug)]
pub struct Stage {
    /// The other side.
    pub sandbox: Sandbox,
    /// What moves it.
    pub control: Control,
    /// Everybody's clock.
    pub clock: SettableClock,
    /// What the channel reaches it through.
    pub ports: Ports,
    /// With what the channel connects.
    pub settings: SettingValues,
    /// The customer as we know them.
    pub identity: Identity,
    /// The sandbox's id of the account.
    pub account: String,
    /// The sandbox's id of the customer.
    pub customer: String,
    platform: Arc<dyn Platform>,
    features: &'static [&'static str],
}

impl Stage {
    /// Starts the sandbox, and opens the account and the customer in it.
    ///
    /// # Panics
    /// If the sandbox takes one of them for wrong.
    pub async fn set(set: Set) -> Self {
        let Set { platform, account, customer, features, addresses, settings, clock, media, patience } = set;
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        // It listens once its task has had a turn: what closes the port must find it open.
        tokio::task::yield_now().await;
        let control = sandbox.control();
        let account = control.create_account(account).unwrap().id;
        let customer = control.create_customer(customer).unwrap().id;
        let endpoint = format!("{}/{}", sandbox.base_url(), platform.name()).parse().unwrap();
        let ports = Ports {
            clock: Arc::new(clock.clone()),
            http: HttpClient::with_total_timeout(patience).unwrap(),
            outside: OutsideClient::new(OutsideRules {
                allowed: vec!["127.0.0.0/8".parse().unwrap()],
                ports: vec![(1, u16::MAX)],
            })
            .unwrap(),
            media,
            tokens: Arc::new(Tokens::new(Arc::new(clock.clone()))),
            endpoints: Arc::new([(platform.name().to_owned(), endpoint)].into()),
            ..Ports::system().unwrap()
        };
        let identity = identity(&addresses);
        Self { sandbox, control, clock, ports, settings, identity, account, customer, platform, features }
    }

    /// The channel, connected with the settings of now.
    ///
    /// # Panics
    /// If it does not connect.
    pub fn channel(&self) -> Arc<dyn Channel> {
        self.platform.connect(&self.settings, &self.ports).unwrap()
    }

    /// The clock's time.
    pub fn now(&self) -> OffsetDateTime {
        self.ports.clock.now()
    }

    /// The customer writes; the message's id.
    ///
    /// # Panics
    /// If they can't.
    pub fn writes(&self, text: &str) -> String {
        self.control.writes(&self.account, &self.customer, text).unwrap().message_id.unwrap()
    }

    /// The customer does something; the message's id, where there is one.
    ///
    /// # Panics
    /// If they can't.
    pub fn act(&self, action: impl Into<Action>) -> Option<String> {
        self.control.act(&self.account, &self.customer, action.into()).unwrap().message_id
    }

    /// Changes the account's settings at the other side.
    ///
    /// # Panics
    /// If the sandbox takes them for wrong.
    pub fn patch(&self, settings: Value) {
        let patch = AccountPatch { settings: Some(settings), ..AccountPatch::default() };
        self.control.patch_account(&self.account, patch).unwrap();
    }

    /// Calls so far whose path ends so.
    pub fn calls_on(&self, edge: &str) -> usize {
        self.control.calls().iter().filter(|call| call.path.ends_with(edge)).count()
    }

    /// The body of the last message that was accepted.
    ///
    /// # Panics
    /// If there is none.
    pub fn last_body(&self) -> Value {
        self.control.ledger().last().unwrap().body.clone()
    }

    /// The newest webhook, as it would reach us.
    ///
    /// # Panics
    /// If there is none.
    pub fn newest(&self) -> RawInbound {
        let body = self.control.deliveries().pop().unwrap().body;
        RawInbound::new(body.get().to_owned(), self.now())
    }

    /// All that the other side has reported so far, as the channel reads it.
    ///
    /// # Panics
    /// If it can't.
    pub fn heard(&self) -> Vec<Inbound> {
        let channel = self.channel();
        let mut deliveries = self.control.deliveries();
        deliveries.sort_by_key(|delivery| delivery.id);
        let bodies = deliveries.into_iter().map(|delivery| delivery.body.get().to_owned());
        bodies.flat_map(|body| channel.parse(&RawInbound::new(body, self.now())).unwrap()).collect()
    }

    /// A template of the platform's, filled as the desk fills it.
    ///
    /// # Panics
    /// If there is none of that name, or if the values do not fit.
    pub async fn template(&self, name: &str, parameters: TemplateParameters) -> Content {
        let channel = self.channel();
        let listed = channel.templates().unwrap().list().await.unwrap();
        let definition = listed.iter().find(|definition| definition.name == name).unwrap();
        Content::template(definition.fill(parameters).unwrap())
    }

    /// A permit of the real engine for this content and this reason; `None` where the rules give none.
    pub fn permit(&self, content: &Content, why: &Why) -> Option<Permit> {
        permit((&*self.platform, self.features), &self.identity, content, why, self.now())
    }

    /// A part for the customer, let through by the rules.
    ///
    /// # Panics
    /// If they do not let it through.
    pub fn part(&self, content: Content, why: &Why, attempt: u32) -> OutboundPart {
        let permit = self.permit(&content, why).unwrap();
        let id = PartId::new(self.ports.ids.as_ref());
        OutboundPart::new(permit, &self.identity, (id, attempt), content, self.now()).unwrap()
    }

    /// Sends for this reason.
    ///
    /// # Errors
    /// As the channel.
    pub async fn send_by(&self, content: Content, why: &Why) -> Result<Receipt, SendError> {
        self.channel().send(&self.part(content, why, 1)).await
    }

    /// Sends a person's answer to a message of just now.
    ///
    /// # Errors
    /// As the channel.
    pub async fn send(&self, content: Content) -> Result<Receipt, SendError> {
        self.send_by(content, &Why::default()).await
    }

    /// What the conformance suite sees of the other side; `could_reach` tells the calls that could have reached the customer.
    pub fn double(self, could_reach: fn(&CallRecord) -> bool) -> Arc<dyn transom_channel::conformance::Double> {
        let reached = move |stage: &Stage| stage.control.calls().iter().filter(|call| could_reach(call)).count();
        Arc::new(double::Behind::new(self, Box::new(reached)))
    }

    /// The same where a call's path does not tell what it is for: what was accepted could reach the customer, and what was refused.
    pub fn double_of_one_path(self) -> Arc<dyn transom_channel::conformance::Double> {
        let refused = |call: &CallRecord| call.status.is_some_and(|status| status >= 400);
        let reached = move |stage: &Stage| {
            stage.control.calls().iter().filter(|call| refused(call)).count() + stage.control.ledger().len()
        };
        Arc::new(double::Behind::new(self, Box::new(reached)))
    }
}

/// A permit of the real engine to write this to somebody, for this reason, on an account of this platform with these features;
/// `None` where the rules give none.
///
/// # Panics
/// If there is no such policy, or if it knows no such opening.
pub fn permit(
    (platform, features): (&dyn Platform, &[&str]),
    to: &Identity,
    content: &Content,
    why: &Why,
    now: OffsetDateTime,
) -> Option<Permit> {
    let mut policies = Policies::builtin().unwrap();
    for (file, text) in platform.policies() {
        policies.add(file, text).unwrap();
    }
    let policy = policies.get(why.policy.unwrap_or(platform.name())).unwrap();
    let mut facts = Facts::new(subject_of(to), policy);
    let features = features.iter().map(|feature| (*feature).to_owned()).collect();
    facts.set_account(policy, &Account { features, ..Account::default() });
    for (kind, reference) in &why.openings {
        let what = What::Opening { kind: (*kind).to_owned(), reference: reference.clone() };
        facts.apply(policy, &Event { at: now - why.ago, what }).unwrap();
    }
    let category = content.as_template().map(|template| template.category.parse().unwrap());
    let ask = category.map_or(Ask::by(why.sender), |category| Ask::by(why.sender).category(category));
    let decision = policy.decide(&facts, ask, now);
    let is_template = category.is_some();
    let fitting = |permit: &&Permit| matches!(permit.basis(), Basis::Template { .. }) == is_template;
    match why.grant {
        Some(grant) => decision.permit(grant).cloned(),
        None => decision.permits().iter().find(fitting).cloned(),
    }
}

/// Somebody who goes by these addresses.
pub fn identity(addresses: &[(&str, &str)]) -> Identity {
    Identity {
        id: IdentityId::new(&UuidV7),
        contact: ContactId::new(&UuidV7),
        account: ChannelAccountId::new(&UuidV7),
        addresses: addresses.iter().map(|(kind, value)| Address::new(*kind, *value)).collect(),
    }
}
