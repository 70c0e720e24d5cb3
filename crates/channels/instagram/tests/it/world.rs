//! An account in the sandbox, with a customer who wrote just now.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use transom_channel::conformance::{PATIENCE, SampleFiles};
use transom_channel::http::HttpClient;
use transom_channel::{
    Channel, Inbound, OutboundPart, Platform, Ports, RawInbound, Receipt, SendError, SettingValues, subject_of,
};
use transom_domain::{
    Address, ChannelAccountId, ContactId, Content, Identity, IdentityId, Ids, PartId, SettableClock, UuidV7,
};
use transom_instagram::Instagram;
use transom_sandbox::{Action, Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_windows::{Account, Ask, Event, Facts, Permit, Policies, Sender, What};
use url::Url;

/// The account, and the Page that it is linked to.
pub(crate) const ACCOUNT: &str = "17840000000000001";
pub(crate) const PAGE: &str = "300000000000001";
pub(crate) const IGSID: &str = "17000000000000001";
pub(crate) const TOKEN: &str = "EAAinventedtokenofthesandbox0001";
pub(crate) const SECRET: &str = "test-app-secret-0001";

/// A running sandbox with one account and one customer.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) identity: Identity,
    /// The customer's message.
    pub(crate) quotable: String,
}

/// Why a message may go: what the customer did and when, and who writes.
pub(crate) struct Why {
    pub(crate) sender: Sender,
    pub(crate) opening: (&'static str, Option<String>),
    pub(crate) ago: Duration,
    pub(crate) grant: &'static str,
}

impl Default for Why {
    fn default() -> Self {
        Self { sender: Sender::Human, opening: ("message", None), ago: Duration::SECOND, grant: "standard" }
    }
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let clock = SettableClock::frozen(datetime!(2026-11-21 10:00 UTC));
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        let control = sandbox.control();
        let account = NewAccount::on("instagram").settings(json!({
            "page_id": PAGE, "instagram_id": ACCOUNT, "name": "acme", "access_token": TOKEN, "app_secret": SECRET, "verify_token": "verify me",
            "human_agent": true, "pacing": false,
        }));
        control.create_account(account).unwrap();
        let mara = NewCustomer::named("mara", "Mara Klein", "+4915550100001");
        let addresses = BTreeMap::from([("instagram".to_owned(), IGSID.to_owned())]);
        control.create_customer(NewCustomer { addresses, username: Some("mara_k".to_owned()), ..mara }).unwrap();
        let quotable = control.writes(ACCOUNT, "mara", "Where is A-1001?").unwrap().message_id.unwrap();

        let endpoint = Url::parse(&format!("{}/instagram", sandbox.base_url())).unwrap();
        let ports = Ports {
            clock: Arc::new(clock),
            http: HttpClient::with_total_timeout(PATIENCE).unwrap(),
            media: Arc::new(SampleFiles),
            endpoints: Arc::new(BTreeMap::from([("instagram".to_owned(), endpoint)])),
            ..Ports::system().unwrap()
        };
        let settings = SettingValues::default()
            .with("app_secret", SECRET)
            .with("verify_token", "verify me")
            .with("access_token", TOKEN)
            .with("quotes", "on")
            .with("page_id", PAGE)
            .with("instagram_id", ACCOUNT);
        Self { sandbox, ports, settings, identity: identity(&[("igsid", IGSID)]), quotable }
    }

    pub(crate) fn control(&self) -> Control {
        self.sandbox.control()
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        Instagram.connect(&self.settings, &self.ports).unwrap()
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        self.ports.clock.now()
    }

    pub(crate) fn part(&self, content: Content, why: &Why, attempt: u32) -> OutboundPart {
        let permit = permit(&self.identity, why, self.now()).unwrap();
        let id = PartId::new(self.ports.ids.as_ref());
        OutboundPart::new(permit, &self.identity, (id, attempt), content, self.now()).unwrap()
    }

    pub(crate) async fn send_by(&self, content: Content, why: &Why) -> Result<Receipt, SendError> {
        self.channel().send(&self.part(content, why, 1)).await
    }

    pub(crate) async fn send(&self, content: Content) -> Result<Receipt, SendError> {
        self.send_by(content, &Why::default()).await
    }

    /// The body of the last message that was accepted.
    pub(crate) fn last_body(&self) -> Value {
        self.control().ledger().last().unwrap().body.clone()
    }

    pub(crate) fn calls_on(&self, edge: &str) -> usize {
        self.control().calls().iter().filter(|call| call.path.ends_with(edge)).count()
    }

    /// Everything that the webhooks told since the first message.
    pub(crate) fn told(&self) -> Vec<Inbound> {
        let channel = self.channel();
        let bodies = self.control().deliveries().into_iter().map(|delivery| delivery.body.get().to_owned());
        let told = bodies.flat_map(|body| channel.parse(&RawInbound::new(body, self.now())).unwrap());
        told.filter(|told| told.event_key != self.quotable).collect()
    }

    /// What an act of the customer is told as, last.
    pub(crate) fn acts(&self, action: impl Into<Action>) -> Inbound {
        let before = self.told().len();
        self.control().act(ACCOUNT, "mara", action.into()).unwrap();
        let mut told = self.told().split_off(before);
        assert_eq!(told.len(), 1, "{told:#?}");
        told.remove(0)
    }
}

/// A permit of the real engine under one grant; `None` if the grant does not hold.
pub(crate) fn permit(to: &Identity, why: &Why, now: OffsetDateTime) -> Option<Permit> {
    let policies = Policies::builtin().unwrap();
    let policy = policies.get("instagram").unwrap();
    let mut facts = Facts::new(subject_of(to), policy);
    facts.set_account(policy, &Account { features: ["human_agent".to_owned()].into(), ..Account::default() });
    let what = What::Opening { kind: why.opening.0.to_owned(), reference: why.opening.1.clone() };
    facts.apply(policy, &Event { at: now - why.ago, what }).unwrap();
    policy.decide(&facts, Ask::by(why.sender), now).permit(why.grant).cloned()
}

pub(crate) fn identity(addresses: &[(&str, &str)]) -> Identity {
    Identity {
        id: IdentityId::from(UuidV7.next()),
        contact: ContactId::from(UuidV7.next()),
        account: ChannelAccountId::from(UuidV7.next()),
        addresses: addresses.iter().map(|(kind, value)| Address::new(*kind, *value)).collect(),
    }
}
