//! A system in the sandbox, a customer who wrote to it, and the channel between them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use transom_channel::{OutboundPart, SettingValues};
use transom_domain::template::{HeaderParameter, TextParameters};
use transom_domain::{Content, TemplateMessage, TemplateParameters};
use transom_http::Http;
use transom_sandbox::{NewAccount, NewCustomer};
use transom_stage::{PublicFiles, Set, Stage, Why};

pub(crate) const ACCOUNT: &str = "acme-main";
pub(crate) const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const HEARING: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
pub(crate) const PHONE: &str = "+15005550006";

pub(crate) struct World(pub(crate) Stage);

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl World {
    /// An account under these rules, a template on it, and Ann, who has written to nobody yet.
    pub(crate) async fn new(patience: Duration, rules: &str) -> Self {
        let account = json!({"account": ACCOUNT, "signing_secret": SIGNING, "webhook_secret": HEARING, "rules": rules});
        let addresses = [("http".to_owned(), "ann-7".to_owned())].into();
        let ann = NewCustomer { addresses, ..NewCustomer::named("ann", "Ann Lee", PHONE) };
        let settings = SettingValues::default()
            .with("signing_secret", SIGNING)
            .with("webhook_secret", HEARING)
            .with("account", ACCOUNT);
        let set = Set::new(Arc::new(Http), NewAccount::on("http").settings(account), ann, &[("phone", PHONE)]);
        let mut stage = Stage::set(Set { settings, patience, media: Arc::new(PublicFiles), ..set }).await;
        stage.settings = stage.settings.with("endpoint", format!("{}/http/{ACCOUNT}", stage.sandbox.base_url()));
        let template = json!({"name": "parcel", "language": "en", "category": "utility",
            "header": {"format": "text", "text": "Order {{1}}"}, "body": "Hi {{1}}, it left today.", "footer": "Acme"});
        stage.control.platform(ACCOUNT, "template", template).await.unwrap();
        Self(stage)
    }

    /// A part for Ann, let through by a policy after a message of hers.
    pub(crate) fn part(&self, policy: &'static str, content: Content) -> OutboundPart {
        self.0.part(content, &Why::default().under(policy), 1)
    }

    /// A text for Ann.
    pub(crate) fn text(&self, text: &str) -> OutboundPart {
        self.part("http", Content::text(text))
    }
}

/// The template of the account, filled.
pub(crate) fn template() -> Content {
    Content::template(TemplateMessage {
        name: "parcel".into(),
        language: "en".into(),
        category: "utility".into(),
        parameters: TemplateParameters {
            header: Some(HeaderParameter::Text(TextParameters::Positional(vec!["A-1".into()]))),
            body: TextParameters::Positional(vec!["Ann".into()]),
            ..TemplateParameters::default()
        },
        rendered: Some("Order A-1\nHi Ann, it left today.\nAcme".into()),
        buttons: Vec::new(),
    })
}
