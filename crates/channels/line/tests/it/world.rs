//! An Official Account in the sandbox, a friend who wrote to it, and the channel between them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use transom_channel::{OutboundPart, SettingValues};
use transom_domain::Content;
use transom_line::Line;
use transom_sandbox::{NewAccount, NewCustomer};
use transom_stage::{PublicFiles, Set, Stage, Why};

pub(crate) const BOT: &str = "U00000000000000000000000000000001";
pub(crate) const TOKEN: &str = "sandbox/token+of/the=bot";
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const AKI: &str = "U0000000000000000000000000000a001";

pub(crate) struct World(pub(crate) Stage);

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl World {
    /// An account, and Aki, who has written to nobody yet. The client waits so long for answers.
    pub(crate) async fn new(patience: Duration) -> Self {
        let account = json!({"bot_user_id": BOT, "basic_id": "@shop", "display_name": "The Shop", "channel_secret": SECRET,
            "access_token": TOKEN, "pacing": false});
        let addresses = [("line".to_owned(), AKI.to_owned())].into();
        let aki =
            NewCustomer { addresses, language: Some("ja".into()), ..NewCustomer::named("aki", "Aki", "+819000000001") };
        let settings = SettingValues::default()
            .with("channel_secret", SECRET)
            .with("channel_access_token", TOKEN)
            .with("video_preview_url", "https://files.example/still.jpg")
            .with("bot_user_id", BOT);
        let account = NewAccount::on("line").settings(account);
        let set = Set::new(Arc::new(Line), account, aki, &[("user_id", AKI)]);
        Self(Stage::set(Set { settings, patience, media: Arc::new(PublicFiles), ..set }).await)
    }

    /// A part for Aki, let through by the policy after these events of hers.
    pub(crate) fn part(
        &self,
        openings: &[(&'static str, Option<&str>)],
        content: Content,
        attempt: u32,
    ) -> OutboundPart {
        let openings = openings.iter().map(|(kind, reference)| (*kind, reference.map(str::to_owned))).collect();
        self.0.part(content, &Why { openings, ..Why::default() }, attempt)
    }

    /// A text for Aki, as a push.
    pub(crate) fn push(&self, text: &str) -> OutboundPart {
        self.part(&[("message", None)], Content::text(text), 1)
    }
}
