//! A business account in the sandbox, and Mara, who writes to it.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use transom_channel::{OutboundPart, SettingValues};
use transom_domain::Content;
use transom_sandbox::{NewAccount, NewCustomer};
use transom_stage::{Set, Stage, Why};
use transom_tiktok::TikTok;

pub(crate) const BUSINESS: &str = "biz-open-0001";
pub(crate) const SECRET: &str = "tiktok-app-secret-01";
pub(crate) const CONVERSATION: &str = "cnv+biz-open-0001/usr-open-0055==";

const APP: &str = "7000000000000000001";
const USER: &str = "usr-open-0055";

pub(crate) struct World(pub(crate) Stage);

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl World {
    pub(crate) async fn new(patience: Duration) -> Self {
        let account = json!({"business_id": BUSINESS, "app_id": APP, "app_secret": SECRET, "refresh_token": "rft.1"});
        let addresses = [("tiktok".to_owned(), USER.to_owned())].into();
        let mara = NewCustomer { addresses, ..NewCustomer::named("mara", "Mara K", "+15005550006") };
        let settings = SettingValues::default()
            .with("app_id", APP)
            .with("app_secret", SECRET)
            .with("business_id", BUSINESS)
            .with("refresh_token", "rft.1");
        let addresses = [("user_id", USER), ("conversation_id", CONVERSATION)];
        let set = Set::new(Arc::new(TikTok), NewAccount::on("tiktok").settings(account), mara, &addresses);
        Self(Stage::set(Set { settings, patience, features: &["comment_to_message"], ..set }).await)
    }

    /// A part for Mara, let through by the policy since she has just written.
    pub(crate) fn part(&self, content: Content) -> OutboundPart {
        self.0.part(content, &Why::default(), 1)
    }
}
