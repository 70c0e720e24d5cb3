//! A mail provider: SMTP submission on a port of its own (`smtp_port`, STARTTLS and AUTH), inbound mail as a webhook.
//!
//! An account is a mailbox; its address is its id, its settings are [`EmailSettings`]. A letter is taken at the end of DATA: then
//! it stands in the ledger, with subject, readers and header in `body`, and on the screen of each customer in its envelope;
//! those who stand in no header get their copy like the others. Faults strike AUTH, MAIL and RCPT as any call, and the end of
//! DATA as the send: a lost answer closes the connection after the letter was taken, `{"kind":"status","status":421}` is the bare
//! code, `{"kind":"error","code":451,"detail":"4.7.1 greylisted"}` one with words; asynchronous, the letter bounces.
//!
//! A customer's `text` answers the last letter that they got, as mail programs do: to its Reply-To, with In-Reply-To and
//! References, the old words quoted below. `deactivate` closes their mailbox: the next letter comes back. `opt_out` writes to
//! the address of List-Unsubscribe, `block` calls the last letter spam (a feedback report). What only mail has is `other`:
//!
//! | kind | data |
//! | --- | --- |
//! | `mail` | `{"subject", "text", "html", "cc"}`: a thread of its own |
//! | `auto_reply` | `{"text"}`: out of office |
//! | `list` | `{"subject", "text"}`: a mailing list's mail |
//! | `third_party` | `{"name", "address", "text"}`: somebody who got a copy answers |
//! | `bounce` | `{"status": "5.1.1"}`: the last letter comes back |
//! | `delayed` | the last letter is still on its way |
//!
//! | verb | does |
//! | --- | --- |
//! | `webhook` | any body, as it is |

mod account;
mod compose;
mod inbound;
mod outgoing;
mod reply;
mod reports;
mod rules;
mod smtp;
mod submit;
mod tls;
mod webhook;

pub use self::account::{EmailSettings, Inbound};

use async_trait::async_trait;
use serde_json::{Value, json};

use self::account::{Mailboxes, mailbox};
use self::reply::SmtpError;
use super::{Ask, Personality, ReceiptOrder, Refusal, Route, Verdict, Wire};
use crate::Problem;
use crate::acts::{Acted, Action};
use crate::chats::ChatKey;
use crate::http::{Call, Reply};
use crate::people::Customer;
use crate::sandbox::{Serve, Shared};
use crate::world::{Account, World};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Email;

#[async_trait]
impl Personality for Email {
    fn name(&self) -> &'static str {
        "email"
    }

    fn adopt(&self, _world: &mut World, customer: &mut Customer) {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let local: String = customer.id.to_lowercase().chars().map(|c| if letters(c) { c } else { '-' }).collect();
        customer
            .addresses
            .entry("email".to_owned())
            .or_insert_with(|| format!("{}@example.test", local.trim_matches('.')));
    }

    fn open(&self, world: &mut World, _name: Option<&str>, settings: Value) -> Result<String, Problem> {
        account::open(world, &settings)
    }

    /// A report of delivery is the exception.
    fn has_receipts(&self) -> bool {
        false
    }

    fn own_port(&self) -> Option<Serve> {
        Some(smtp::serve)
    }

    fn settings(&self, world: &mut World, account: &str) -> Value {
        mailbox(world, account).ok().and_then(|found| serde_json::to_value(&found.settings).ok()).unwrap_or_default()
    }

    fn patch(&self, world: &mut World, account: &str, settings: Value) -> Result<(), Problem> {
        account::patch(world, account, &settings)
    }

    fn close(&self, world: &mut World, account: &str) {
        world.shelves.of::<Mailboxes>().all.remove(account);
    }

    fn route(&self, world: &mut World, call: &Call) -> Result<Route, Reply> {
        let account = match call.method.as_str() {
            "AUTH" => submit::signs_in(world, call).map_err(|refused| refused.reply())?,
            "MAIL" | "RCPT" | "DATA" => call.query("account").unwrap_or_default().to_owned(),
            _ => return Err(Reply::text(404, "mail is handed in at the SMTP port")),
        };
        Ok(Route { account: Some(account), sends: call.method.as_str() == "DATA", fails_later: None })
    }

    async fn answer(&self, shared: &Shared, route: &Route, call: &Call) -> Reply {
        let mut world = shared.world();
        let account = route.account.as_deref().unwrap_or_default();
        let done = match call.method.as_str() {
            "AUTH" => Ok(Reply::text(235, "2.7.0 authentication successful")),
            "MAIL" => submit::begins(&mut world, account, call),
            "RCPT" => submit::addresses(&mut world, account, call),
            _ => submit::hands_in(&mut world, account, route, call),
        };
        done.unwrap_or_else(|refused| refused.reply())
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        let refused = match refusal {
            Refusal::RateLimited { .. } => SmtpError::of(450, "4.7.1", "too many messages, slow down"),
            Refusal::NotAccepting => SmtpError::of(451, "4.3.2", "system not accepting network messages"),
            Refusal::Error { code, detail } => SmtpError::ordered(*code, detail.as_deref()),
        };
        refused.reply()
    }

    fn act(&self, world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
        inbound::act(world, key, action)
    }

    fn receipt(&self, world: &mut World, account: &str, order: &ReceiptOrder) -> Result<Option<u64>, Problem> {
        reports::receipt(world, account, order)
    }

    fn would_accept(&self, world: &mut World, key: &ChatKey, ask: &Ask) -> Verdict {
        let now = world.now();
        rules::would_accept(world, key, ask, now)
    }

    fn sign(&self, world: &mut World, account: &Account, _body: &[u8], badly: bool) -> Vec<(&'static str, String)> {
        mailbox(world, &account.id).map(|found| webhook::proof(&found.settings, badly)).unwrap_or_default()
    }

    fn seal(&self, world: &mut World, account: &Account, wire: Wire, _url: &str, badly: bool) -> Wire {
        webhook::sealed(world, &account.id, wire, badly)
    }

    async fn verb(&self, shared: &Shared, account: &str, verb: &str, body: Value) -> Result<Value, Problem> {
        match verb {
            "webhook" => Ok(json!({"delivery": shared.world().report(account, "webhook", body.to_string())})),
            other => Err(Problem::not_found(format!("mail has no verb `{other}`: webhook"))),
        }
    }
}
