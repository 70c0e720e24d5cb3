//! An Official Account in the sandbox, and Mara, who writes to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Mutex;
use transom_channel::conformance::SampleFiles;
use transom_channel::http::HttpClient;
use transom_channel::outside::{OutsideClient, OutsideRules};
use transom_channel::{
    Channel, OutboundPart, Platform, Ports, Renew, SettingValues, StoredToken, TokenError, TokenPort, subject_of,
};
use transom_domain::template::TextParameters;
use transom_domain::{
    Address, Body, ChannelAccountId, Clock, ContactId, Content, Identity, IdentityId, PartId, SettableClock,
    TemplateParameters, UuidV7,
};
use transom_sandbox::{Act, Action, Control, NewAccount, NewCustomer, Sandbox, SandboxConfig};
use transom_wechat::WeChat;
use transom_windows::{Ask, Event, Facts, Policies, Sender, What};

pub(crate) const ACCOUNT: &str = "gh_0000000000a1";
pub(crate) const APP: &str = "wx00000000000000a1";
pub(crate) const SECRET: &str = "wechat-app-secret-01";
pub(crate) const TOKEN: &str = "supporttoken01";
pub(crate) const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
pub(crate) const OPENID: &str = "oEXAMPLEopenid00000000000001";

pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) clock: SettableClock,
    pub(crate) ports: Ports,
    pub(crate) settings: SettingValues,
    pub(crate) mara: Identity,
    _sandbox: Sandbox,
}

impl World {
    pub(crate) async fn new(patience: Duration) -> Self {
        let clock = SettableClock::running();
        let sandbox = Sandbox::start(SandboxConfig::new(clock.clone())).await.unwrap();
        tokio::task::yield_now().await;
        let control = sandbox.control();
        let settings = json!({"original_id": ACCOUNT, "app_id": APP, "app_secret": SECRET, "token": TOKEN});
        control.create_account(NewAccount { settings, ..NewAccount::on("wechat") }).unwrap();
        let addresses = [("wechat".to_owned(), OPENID.to_owned())].into();
        let mara = NewCustomer { addresses, ..NewCustomer::named("mara", "Mara K", "+15005550006") };
        control.create_customer(mara).unwrap();
        let ports = Ports {
            clock: Arc::new(clock.clone()),
            ids: Arc::new(UuidV7),
            http: HttpClient::with_total_timeout(patience).unwrap(),
            outside: OutsideClient::new(OutsideRules::default()).unwrap(),
            media: Arc::new(SampleFiles),
            tokens: Arc::new(Tokens { kept: Mutex::default(), clock: clock.clone() }),
            mailbox: Arc::new(transom_channel::NoMailbox),
            endpoints: Arc::new(
                [("wechat".to_owned(), format!("{}/wechat", sandbox.base_url()).parse().unwrap())].into(),
            ),
        };
        let settings = SettingValues::default()
            .with("app_id", APP)
            .with("app_secret", SECRET)
            .with("token", TOKEN)
            .with("original_id", ACCOUNT)
            .with("video_thumb_media_id", "PERMANENT_1");
        let mara = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("openid", OPENID)],
        };
        Self { control, clock, ports, settings, mara, _sandbox: sandbox }
    }

    pub(crate) fn channel(&self) -> Arc<dyn Channel> {
        WeChat.connect(&self.settings, &self.ports).unwrap()
    }

    pub(crate) fn does(&self, act: Act) -> Option<String> {
        self.control.act(ACCOUNT, "mara", Action::from(act)).unwrap().message_id
    }

    /// Mara writes; the message's id.
    pub(crate) fn mara_writes(&self, text: &str) -> String {
        self.does(Act::Text { text: text.to_owned() }).unwrap()
    }

    /// Calls to a path so far.
    pub(crate) fn calls(&self, path: &str) -> usize {
        self.control.calls().iter().filter(|call| call.path.contains(path)).count()
    }

    /// A part for Mara, let through by the policy since she has just written.
    pub(crate) fn part(&self, content: Content) -> OutboundPart {
        let (policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        let policy = policies.get("wechat").unwrap();
        let mut facts = Facts::new(subject_of(&self.mara), policy);
        let what = What::Opening { kind: "message".to_owned(), reference: None };
        facts.apply(policy, &Event { at: now, what }).unwrap();
        let permit = policy.decide(&facts, Ask::by(Sender::Human), now).permits().first().unwrap().clone();
        OutboundPart::new(permit, &self.mara, (PartId::new(&UuidV7), 1), content, now).unwrap()
    }
}

impl World {
    /// A template of the account's, which is a service account from now on, filled.
    pub(crate) async fn template(&self) -> Content {
        let settings = Some(json!({"service_account": true}));
        let patch = transom_sandbox::AccountPatch { settings, ..transom_sandbox::AccountPatch::default() };
        self.control.patch_account(ACCOUNT, patch).unwrap();
        let template = json!({"template_id": "TPL_1", "title": "订单通知", "content": "订单:{{thing1.DATA}}"});
        self.control.platform(ACCOUNT, "template", template).await.unwrap();
        let listed = self.channel().templates().unwrap().list().await.unwrap();
        let body = TextParameters::Named([("thing1".to_owned(), "4711".to_owned())].into());
        let filled = listed[0].fill(TemplateParameters { body, ..TemplateParameters::default() }).unwrap();
        Content { body: Body::Template(filled), reply_to: None }
    }

    /// A template for Mara, who follows a service account.
    pub(crate) fn notice(&self, content: Content) -> OutboundPart {
        let (policies, now) = (Policies::builtin().unwrap(), self.ports.clock.now());
        let policy = policies.get("wechat").unwrap();
        let mut facts = Facts::new(subject_of(&self.mara), policy);
        let features = ["service_account".to_owned()].into();
        let templates = Some([transom_windows::Category::Utility].into());
        let account = transom_windows::Account { features, templates, ..transom_windows::Account::default() };
        facts.set_account(policy, &account);
        facts.apply(policy, &Event { at: now, what: What::Subscribed }).unwrap();
        let ask = Ask::by(Sender::Human).category(transom_windows::Category::Utility);
        let permit = policy.decide(&facts, ask, now).permits().first().unwrap().clone();
        OutboundPart::new(permit, &self.mara, (PartId::new(&UuidV7), 1), content, now).unwrap()
    }

    /// What the policy permits a person now, after all that was told.
    pub(crate) fn grants_after(&self, told: &[transom_channel::Inbound]) -> Vec<String> {
        let policies = Policies::builtin().unwrap();
        let policy = policies.get("wechat").unwrap();
        let mut facts = Facts::new(subject_of(&self.mara), policy);
        for item in told {
            for opening in &item.openings {
                let what = What::Opening { kind: opening.kind.clone(), reference: opening.reference.clone() };
                facts.apply(policy, &Event { at: item.at, what }).unwrap();
            }
            let what = match &item.item {
                transom_channel::Item::Standing(transom_channel::Standing::Subscribed) => What::Subscribed,
                transom_channel::Item::Standing(transom_channel::Standing::Unsubscribed) => What::Unsubscribed,
                _ => continue,
            };
            facts.apply(policy, &Event { at: item.at, what }).unwrap();
        }
        let decision = policy.decide(&facts, Ask::by(Sender::Human), self.ports.clock.now());
        decision.permits().iter().map(|permit| permit.grant().to_owned()).collect()
    }
}

/// Tokens in memory, one renewal at a time.
#[derive(Debug)]
struct Tokens {
    kept: Mutex<HashMap<String, StoredToken>>,
    clock: SettableClock,
}

#[async_trait]
impl TokenPort for Tokens {
    async fn get(&self, key: &str) -> Result<Option<StoredToken>, TokenError> {
        let now = self.clock.now();
        let kept = self.kept.lock().await.get(key).cloned();
        Ok(kept.filter(|token| token.expires_at.is_none_or(|end| now < end)))
    }

    async fn renew(&self, key: &str, renew: Renew<'_>) -> Result<StoredToken, TokenError> {
        let old = self.kept.lock().await.get(key).cloned();
        let token = renew(old).await?;
        self.kept.lock().await.insert(key.to_owned(), token.clone());
        Ok(token)
    }
}
