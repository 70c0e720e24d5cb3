//! A shop with the chat on its site, and somebody at the desk.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::{Value, json};
use transom_desk::channels::{ChannelPatch, change};
use transom_domain::SettableClock;
use transom_storage::test_support::TestDatabase;
use transom_tests::browser::{Browser, Page, Visitor};
use transom_tests::site::Site;
use transom_tests::{Stage, instant};

/// The widget's shadow root.
pub(crate) const ROOT: &str = "document.querySelector('#transom-chat').shadowRoot";

/// The element of the widget that a selector means.
pub(crate) fn ui(selector: &str) -> String {
    format!("{ROOT}.querySelector(`{selector}`)")
}

pub(crate) struct Shop {
    pub stage: Stage,
    pub site: Site,
    browser: Browser,
}

impl Shop {
    /// `None` where there is no browser.
    pub(crate) async fn open(db: TestDatabase) -> Option<Self> {
        let browser = Browser::start().await.unwrap()?;
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let (listener, origin) = Site::door().await.unwrap();
        let account = stage.world.account("webchat").unwrap().ours.clone();
        let (desk, caller) = (stage.world.desk(), &stage.world.caller);
        let settings =
            BTreeMap::from([("origins".to_owned(), SecretString::from(format!("https://shop.example {origin}")))]);
        change(desk, caller, account.id, ChannelPatch { settings, ..ChannelPatch::default() }).await.unwrap();
        let (service, key) =
            (stage.world.server.base_url(), desk.storage().public_id(&caller.scope, account.connection));
        let script = include_str!("shop.js").replace("SERVICE", service).replace("KEY", &key);
        let files = vec![
            ("/", "text/html", include_str!("shop.html").to_owned()),
            ("/shop.js", "text/javascript", script),
            ("/shop.css", "text/css", include_str!("shop.css").to_owned()),
        ];
        let site = Site::serve(listener, origin, service, files);
        Some(Self { stage, site, browser })
    }

    pub(crate) async fn visitor(&self) -> Visitor {
        self.browser.visitor().await.unwrap()
    }

    /// A tab on the shop's page, with the widget up and its line standing.
    pub(crate) async fn tab(&self, visitor: &Visitor, query: &str) -> Page {
        let page = visitor.tab(1280, 800).await.unwrap();
        self.goto(&page, query).await;
        page
    }

    pub(crate) async fn goto(&self, page: &Page, query: &str) {
        page.open(&format!("{}/?{query}", self.site.origin())).await.unwrap();
        page.until("Boolean(document.querySelector('#transom-chat'))").await.unwrap();
    }

    /// The secret that the site proves identities with.
    pub(crate) fn proof(&self, external_id: &str) -> String {
        let account = &self.stage.world.account("webchat").unwrap().at_sandbox;
        let settings = self.stage.world.control().account(account).unwrap().settings;
        transom_sandbox::platforms::webchat::proof(settings["identity_secret"].as_str().unwrap(), external_id)
    }

    /// The site's statement of who somebody is, for ten minutes.
    pub(crate) fn jwt(&self, external_id: &str, name: &str) -> String {
        use base64::Engine as _;
        use hmac::{KeyInit as _, Mac as _};
        let account = &self.stage.world.account("webchat").unwrap().at_sandbox;
        let settings = self.stage.world.control().account(account).unwrap().settings;
        let now = self.stage.world.now().unix_timestamp();
        let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let claims = json!({ "sub": external_id, "name": name, "aud": "wgt_1", "iat": now, "exp": now + 600 });
        let header = base64.encode(json!({ "alg": "HS256", "typ": "JWT" }).to_string());
        let signed = format!("{header}.{}", base64.encode(claims.to_string()));
        let secret = settings["identity_secret"].as_str().unwrap().as_bytes();
        let mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap().chain_update(&signed);
        format!("{signed}.{}", base64.encode(mac.finalize().into_bytes()))
    }

    /// Changes settings of the widget.
    pub(crate) async fn configured(&self, settings: &[(&str, &str)]) {
        let account = self.stage.world.account("webchat").unwrap().ours.id;
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect();
        let patch = ChannelPatch { settings, ..ChannelPatch::default() };
        change(self.stage.world.desk(), &self.stage.world.caller, account, patch).await.unwrap();
    }

    /// A contact, once there is one of whom this is so.
    pub(crate) async fn contact(&self, is_meant: impl Fn(&Value) -> bool) -> Value {
        let look = || async {
            let found = self.stage.api.get("/contacts?limit=100").await?.expect(200)?.body;
            for contact in found["items"].as_array().unwrap() {
                let path = format!("/contacts/{}", contact["id"].as_str().unwrap());
                let contact = self.stage.api.get(&path).await?.expect(200)?.body;
                if is_meant(&contact) {
                    return Ok(Some(contact));
                }
            }
            Ok(None)
        };
        self.stage.world.until("the contact is known", look).await.unwrap()
    }

    /// The conversation in which somebody wrote this, once it is at the desk.
    pub(crate) async fn conversation_saying(&self, text: &str) -> Value {
        let (world, api) = (&self.stage.world, &self.stage.api);
        let channel = world.account("webchat").unwrap().ours.id;
        world
            .until(&format!("`{text}` is at the desk"), || async {
                let found = api.get(&format!("/conversations?channel={channel}")).await?.expect(200)?;
                for conversation in found.body["items"].as_array().unwrap() {
                    let id = conversation["id"].as_str().unwrap();
                    if self.messages(id).await.iter().any(|(_, said)| said == text) {
                        return Ok(Some(conversation.clone()));
                    }
                }
                Ok(None)
            })
            .await
            .unwrap()
    }

    /// Direction and words of what was exchanged, the oldest first.
    pub(crate) async fn messages(&self, conversation: &str) -> Vec<(String, String)> {
        let path = format!("/conversations/{conversation}/messages?limit=100");
        let found = self.stage.api.get(&path).await.unwrap().expect(200).unwrap();
        let said = |message: &Value| {
            let text = message["content"]["text"].as_str().unwrap_or_default();
            (message["direction"].as_str().unwrap().to_owned(), text.to_owned())
        };
        let mut all: Vec<_> = found.body["items"].as_array().unwrap().iter().collect();
        // By time and not by text: `.5Z` is later than `.48Z`.
        all.sort_by_key(|message| instant(&message["at"]).unwrap());
        all.into_iter().map(said).collect()
    }

    /// What the visitor wrote, the oldest first.
    pub(crate) async fn written(&self, conversation: &str) -> Vec<String> {
        let all = self.messages(conversation).await;
        all.into_iter().filter(|(direction, _)| direction == "inbound").map(|(_, text)| text).collect()
    }

    /// Somebody at the desk answers; the message's id.
    pub(crate) async fn answers(&self, conversation: &str, mut message: Value) -> String {
        message["type"] = json!("reply");
        let sent = self.stage.api.post(&format!("/conversations/{conversation}/messages"), message).await.unwrap();
        sent.expect(202).unwrap().text("/id").unwrap().to_owned()
    }

    /// Waits until the desk knows this of a message.
    pub(crate) async fn until_state(&self, message: &str, state: &str) {
        let look = || async {
            let now = self.stage.api.get(&format!("/messages/{message}")).await?.expect(200)?;
            Ok((now.text("/state") == Some(state)).then_some(()))
        };
        self.stage.world.until(&format!("the message is {state}"), look).await.unwrap();
    }

    pub(crate) async fn close(self) {
        drop(self.browser);
        self.stage.strike().await;
    }
}

/// What stands in the bubbles, the oldest first.
pub(crate) async fn bubbles(page: &Page) -> Vec<String> {
    let found =
        page.eval(&format!("[...{ROOT}.querySelectorAll('.msg .text')].map((one) => one.textContent)")).await.unwrap();
    serde_json::from_value(found).unwrap()
}

/// Waits until the bubbles say this.
pub(crate) async fn until_bubbles(page: &Page, wanted: &[&str]) {
    let wanted = json!(wanted).to_string();
    let said = format!("JSON.stringify([...{ROOT}.querySelectorAll('.msg .text')].map((one) => one.textContent))");
    if let Err(trouble) = page.until(&format!("{said} === JSON.stringify({wanted})")).await {
        panic!("{trouble}; it says {}", page.eval(&said).await.unwrap());
    }
}

/// Opens the panel with the mouse.
pub(crate) async fn open(page: &Page) {
    page.click(&ui(".launcher")).await.unwrap();
    page.until(&format!("!{}.hidden", ui(".panel"))).await.unwrap();
}

/// Writes and sends with the keyboard.
pub(crate) async fn write(page: &Page, text: &str) {
    page.eval(&format!("{}.focus()", ui("textarea"))).await.unwrap();
    page.types(text).await.unwrap();
    page.press("Enter").await.unwrap();
}

/// Waits until the last of the visitor's messages says this of itself.
pub(crate) async fn until_sent(page: &Page) {
    page.until(&format!("!{ROOT}.querySelector('.mine:last-of-type .meta')?.textContent.includes('Waiting') && Object.keys(localStorage).every((name) => !name.includes(':out:'))")).await.unwrap();
}

/// Nothing threw, and nothing was stopped by the page's policy.
pub(crate) async fn is_clean(page: &Page) {
    assert_eq!(page.events("Runtime.exceptionThrown"), Vec::<Value>::new());
    assert_eq!(page.eval("told.filter((one) => one !== 'identity_invalid')").await.unwrap(), json!([]));
}
