//! WeChat's interface for Official Accounts: `{base}/wechat/cgi-bin/message/custom/send` and its neighbours.
//!
//! An account is an Official Account, its id the original id (`gh_…`), its settings [`WeChatSettings`]. Webhooks are XML, signed
//! in their address and, with an `encoding_aes_key`, encrypted. Customers follow the account from the start; `block` leaves it,
//! `unblock` follows it again, `start` scans a code with a scene, `opt_out` switches messages off. Entries of the menu and a
//! payment are `other`: `CLICK` with its `EventKey`, and `payment`.
//!
//! | verb | does |
//! | --- | --- |
//! | `event` | sends any event: `{"event": "CLICK", "openid": "o…", "fields": {"EventKey": "HELP"}}` |
//! | `template` | makes or replaces a template: `{"template_id": "…", "title": "…", "content": "订单:{{thing1.DATA}}"}` |
//! | `handshake` | calls the webhook as the console does when it is saved: gives status and answer |

mod account;
mod calls;
mod crypto;
mod events;
mod rules;
mod templates;

pub use self::account::WeChatSettings;

use async_trait::async_trait;
use serde_json::{Value, json};

use self::account::official;
use self::calls::Refused;
use super::{Ask, Personality, ReceiptOrder, Refusal, Route, Verdict, Wire};
use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::ChatKey;
use crate::http::{Call, Reply};
use crate::people::Customer;
use crate::sandbox::Shared;
use crate::world::{Account, World};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct WeChat;

#[async_trait]
impl Personality for WeChat {
    fn name(&self) -> &'static str {
        "wechat"
    }

    fn adopt(&self, world: &mut World, customer: &mut Customer) {
        let id = format!("o{}", world.names.token(27));
        customer.addresses.entry("wechat".to_owned()).or_insert(id);
    }

    fn open(&self, world: &mut World, _name: Option<&str>, settings: Value) -> Result<String, Problem> {
        account::open(world, &settings)
    }

    fn has_receipts(&self) -> bool {
        false
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        let settings = official(world, account).map(|official| serde_json::to_value(&official.settings));
        settings.ok().and_then(Result::ok).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        account::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        account::close(world, account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        calls::route(world, call).map_err(|refused| refused.reply())
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let account = route.account.as_deref().unwrap_or_default();
        calls::answer(shared, account, call).await.unwrap_or_else(|refused| refused.reply())
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::RateLimited { .. } => Refused::new(45_011, "api minute-quota reach limit, must slower").reply(),
            Refusal::NotAccepting => Refused::new(40_008, "the sandbox accepts nothing at present").reply(),
            Refusal::Error { code, detail } => {
                Refused::new(*code, detail.as_deref().unwrap_or("as the sandbox was told")).reply()
            }
        }
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        events::act(world, key, action)
    }

    fn receipt(&self, _world: &mut World, _account: &str, _order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        Err(Problem::invalid("WeChat reports nothing about a customer-service message after accepting it"))
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, ask: &Ask) -> Verdict {
        let now = world.now();
        rules::would_accept(world, key, ask, now)
    }

    /// The proof is no header: see `seal`.
    fn sign(&self, _world: &mut World, _account: &Account, _body: &[u8], _badly: bool) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn wire(&self, body: &str, _tries: usize) -> Wire {
        events::wire(body)
    }

    fn seal(&self, world: &mut World, account: &Account, wire: Wire, url: &str, badly: bool) -> Wire {
        events::seal(world, account, wire, url, badly)
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        match verb {
            "event" => Ok(json!({"delivery": events::made_to_order(&mut shared.world(), account, &body)?})),
            "template" => templates::keep(&mut shared.world(), account, &body),
            "handshake" => {
                let (url, query) = {
                    let world = &mut shared.world();
                    let url = world.account(account)?.webhook_url.clone();
                    let (at, nonce) = (world.now().unix_timestamp().to_string(), world.names.digits('1', 9));
                    let echo = world.names.digits('5', 19);
                    let token = official(world, account)?.settings.token.clone();
                    let signature = crypto::signature(&[&token, &at, &nonce]);
                    (url, [("signature", signature), ("timestamp", at), ("nonce", nonce), ("echostr", echo)])
                };
                let url = url.ok_or_else(|| Problem::conflict("this account has no webhook address"))?;
                let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let echo = query.last().map(|(_, echo)| *echo).unwrap_or_default();
                match crate::webhooks::get(shared, &url, &query).await {
                    Ok((status, answer)) => {
                        Ok(json!({"ok": status == 200 && answer == echo, "status": status, "body": answer}))
                    }
                    Err(error) => Ok(json!({"ok": false, "status": null, "body": error})),
                }
            }
            other => Err(Problem::not_found(format!("WeChat has no verb `{other}`: event, template, handshake"))),
        }
    }
}
