//! A service with one WhatsApp account, and calls as the platform signs them.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use transom_desk::channels::{self, NewChannel};
use transom_desk::{Caller, workspaces};
use transom_domain::{ChannelAccount, Clock as _, SystemClock};
use transom_server::{Server, ServerConfig};
use transom_storage::test_support::TestDatabase;

const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";

pub struct World {
    pub server: Server,
    pub caller: Caller,
    pub token: SecretString,
    pub account: ChannelAccount,
    _folder: TempDir,
}

impl World {
    /// Listening, but neither applying nor sending by itself.
    pub async fn listening(database: &TestDatabase) -> Self {
        let (config, folder) = config(database);
        let server = Server::start_without_background(config, Arc::new(SystemClock)).await.unwrap();
        Self::of(server, folder).await
    }

    /// At full work; the platform is at `endpoint`.
    pub async fn working(database: &TestDatabase, endpoint: &str) -> Self {
        let (config, folder) = config(database);
        let server = Server::start(config.with_endpoint("whatsapp", endpoint).unwrap(), Arc::new(SystemClock));
        Self::of(server.await.unwrap(), folder).await
    }

    async fn of(server: Server, folder: TempDir) -> Self {
        let (caller, token) = workspaces::create(server.desk(), "Acme", "Ada").await.unwrap();
        let account = connect(&server, &caller, "106540352242922").await;
        Self { server, caller, token, account, _folder: folder }
    }

    /// Where the platform calls.
    pub fn hook(&self) -> String {
        let public_id = self.server.desk().storage().public_id(&self.caller.scope, self.account.connection);
        format!("/webhooks/{public_id}")
    }
}

fn config(database: &TestDatabase) -> (ServerConfig, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = ServerConfig::in_folder(folder.path()).on_loopback(0);
    config.database_url = Some(database.url().to_owned());
    (config, folder)
}

/// A number of its own, as an administrator connects it.
pub async fn connect(server: &Server, caller: &Caller, number: &str) -> ChannelAccount {
    let settings = [
        ("app_secret", APP_SECRET),
        ("verify_token", "verify"),
        ("access_token", "token"),
        ("phone_number_id", number),
        ("waba_id", "102290129340398"),
    ];
    let new = NewChannel {
        platform: "whatsapp".to_owned(),
        name: "Acme".to_owned(),
        settings: settings.into_iter().map(|(name, value)| (name.to_owned(), SecretString::from(value))).collect(),
        ..NewChannel::default()
    };
    channels::connect(server.desk(), caller, new, None).await.unwrap().account
}

/// A text of a customer, as the platform tells of it.
pub fn call(number: &str, customer: u64, message: u64) -> Value {
    let phone = format!("49155{customer:08}");
    json!({
        "object": "whatsapp_business_account",
        "entry": [{
            "id": "102290129340398",
            "changes": [{
                "field": "messages",
                "value": {
                    "messaging_product": "whatsapp",
                    "metadata": { "display_phone_number": "15550783881", "phone_number_id": number },
                    "contacts": [{ "profile": { "name": name(customer) }, "wa_id": phone }],
                    "messages": [{
                        "from": phone,
                        "id": format!("wamid.HBgLMTY1MDM4Nzk0MzkVAgARGBI3N0EyQUJCMjFEQzZCQUMz{message:08}"),
                        "timestamp": SystemClock.now().unix_timestamp().to_string(),
                        "type": "text",
                        "text": { "body": TEXT },
                    }],
                },
            }],
        }],
    })
}

pub const TEXT: &str = "Hello, my order has not arrived yet. Could you please tell me where it is?";

pub fn name(customer: u64) -> String {
    format!("Customer Number{customer}")
}

/// What the platform puts into `X-Hub-Signature-256`.
pub fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(APP_SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}
