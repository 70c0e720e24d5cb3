//! What customers do, as letters.

use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use super::account::{Letter, is_address, mailbox};
use super::compose::{Content, Draft, Enclosed};
use super::{reports, webhook};
use crate::Problem;
use crate::acts::{Act, Acted, Action, MediaAct};
use crate::chats::{Author, ChatKey, Entry, Happened};
use crate::media::Media;
use crate::people::Customer;
use crate::world::World;

/// A customer does something.
pub(super) fn act(world: &mut World, key: &ChatKey, action: &Action) -> Result<Acted, Problem> {
    if key.via.is_some() {
        return Err(Problem::invalid("mail has no groups: leave `via` out"));
    }
    let customer = world.customer(&key.customer)?.clone();
    if customer.unreachable_on.contains("email") {
        return Err(Problem::conflict(format!("customer `{}` has no mailbox any more", customer.id)));
    }
    // A letter's Date carries whole seconds.
    let at = action.at.unwrap_or_else(|| world.now());
    let at = at.replace_nanosecond(0).unwrap_or(at);
    let mut desk = Desk { world, key, customer, at };
    match &action.act {
        Act::Text { text } => {
            let answered = desk.answered(action.reply_to.as_deref())?;
            desk.writes(answered.as_ref(), Words::text(text), "message")
        }
        Act::Media(file) => {
            let answered = desk.answered(action.reply_to.as_deref())?;
            let words =
                Words { files: vec![enclosed(file)?], ..Words::text(file.caption.as_deref().unwrap_or_default()) };
            desk.writes(answered.as_ref(), words, "message")
        }
        Act::OptOut => desk.unsubscribes(),
        Act::OptIn => Ok(desk.notes("opt_in")),
        Act::Block => desk.complains(),
        Act::Deactivate => {
            if let Some(customer) = desk.world.customers.get_mut(&key.customer) {
                customer.unreachable_on.insert("email".to_owned());
            }
            Ok(desk.told(None))
        }
        Act::Read => Ok(desk.told(None)),
        Act::Unsupported => {
            let calendar = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n".to_vec();
            let file = Enclosed { name: "invite.ics".to_owned(), mime: "text/calendar".to_owned(), bytes: calendar };
            desk.writes(None, Words { files: vec![file], ..Words::text("") }, "message")
        }
        Act::Other { kind, data } => desk.other(kind, data, action.reply_to.as_deref()),
        _ => Err(Problem::invalid("a letter carries words and files, and nothing else")),
    }
}

/// What is written.
#[derive(Default)]
struct Words {
    subject: Option<String>,
    text: String,
    html: Option<String>,
    files: Vec<Enclosed>,
    cc: Vec<String>,
    /// Further fields of the header.
    fields: Vec<(String, String)>,
}

impl Words {
    fn text(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

/// A customer at their mail program.
struct Desk<'a> {
    world: &'a mut World,
    key: &'a ChatKey,
    customer: Customer,
    at: OffsetDateTime,
}

impl Desk<'_> {
    /// The letter that is answered: the one named, else the last one of the business, else the last one they wrote.
    fn answered(&mut self, named: Option<&str>) -> Result<Option<Letter>, Problem> {
        let found = mailbox(self.world, &self.key.account)?;
        match named {
            Some(id) => {
                let letter = found.letter(id).cloned();
                letter.map(Some).ok_or_else(|| Problem::not_found(format!("nobody got or wrote a letter `{id}`")))
            }
            None => {
                let last = found.latest(&self.customer.id, |letter| letter.ours);
                Ok(last.or_else(|| found.latest(&self.customer.id, |_| true)).cloned())
            }
        }
    }

    fn writes(&mut self, answered: Option<&Letter>, words: Words, counts_as: &str) -> Result<Acted, Problem> {
        let address = self.customer.address("email").to_owned();
        let from = (self.customer.name.clone(), address.clone());
        let envelope_from = if counts_as == "automatic" { String::new() } else { address };
        let shown = (words.subject.clone(), words.text.clone(), words.files.first().cloned());
        let draft = self.draft(answered, words, from, envelope_from)?;
        let delivery = webhook::report(self.world, &self.key.account, counts_as, &draft)?;
        self.keeps(&draft, shown, counts_as, answered)?;
        Ok(Acted { message_id: Some(draft.id), deliveries: delivery.into_iter().collect(), at: self.at })
    }

    /// A letter, addressed as mail programs do: to Reply-To, with the thread's ids, the old words quoted below.
    fn draft(
        &mut self,
        answered: Option<&Letter>,
        words: Words,
        from: (String, String),
        envelope_from: String,
    ) -> Result<Draft, Problem> {
        let domain = from.1.rsplit_once('@').map_or("example.test", |(_, domain)| domain).to_owned();
        let id = format!("<{}.{}@{domain}>", self.world.names.number(), self.world.names.seed());
        let to = match answered {
            Some(letter) if letter.ours => letter.reply_to.clone(),
            _ => mailbox(self.world, &self.key.account)?.settings.mailbox.clone(),
        };
        let (mut references, mut subject, mut text) = (Vec::new(), words.subject, words.text);
        if let Some(letter) = answered {
            references.clone_from(&letter.references);
            references.push(letter.id.clone());
            subject = subject.or_else(|| Some(again(&letter.subject)));
        }
        if let Some(letter) = answered.filter(|letter| letter.ours && !letter.text.is_empty()) {
            let when = format_description!(
                "[weekday repr:short], [day padding:none] [month repr:short] [year] at [hour]:[minute]"
            );
            let when = self.at.format(when).unwrap_or_default();
            let old: Vec<String> = letter.text.lines().map(|line| format!("> {line}\n")).collect();
            text = format!("{text}\n\nOn {when}, {} wrote:\n{}", letter.reply_to, old.concat());
        }
        Ok(Draft {
            id,
            at: self.at,
            from,
            envelope_from,
            recipient: to.clone(),
            to: vec![to],
            cc: words.cc,
            subject: subject.unwrap_or_else(|| "A question".to_owned()),
            answers: answered.map(|letter| letter.id.clone()),
            references,
            fields: words.fields,
            content: Content::Words { text, html: words.html, files: words.files },
        })
    }

    /// Writes down what the rules read and what the screen shows.
    fn keeps(
        &mut self,
        draft: &Draft,
        (subject, text, file): (Option<String>, String, Option<Enclosed>),
        kind: &str,
        answered: Option<&Letter>,
    ) -> Result<(), Problem> {
        let letter = Letter {
            id: draft.id.clone(),
            customer: self.customer.id.clone(),
            subject: draft.subject.clone(),
            reply_to: draft.from.1.clone(),
            references: draft.references.clone(),
            unsubscribe: None,
            ours: false,
            envelope_from: draft.envelope_from.clone(),
            envelope_id: None,
            head: String::new(),
            text: text.clone(),
        };
        mailbox(self.world, &self.key.account)?.letters.push(letter);
        let title = subject.unwrap_or_else(|| draft.subject.clone());
        let mut entry = Entry::new(&draft.id, Author::Customer, self.at, "mail", format!("{title}\n{text}"));
        entry.header = Some(title);
        entry.reply_to = answered.map(|letter| letter.id.clone());
        entry.media = file.map(|file| {
            let (id, at) = (self.world.names.digits('6', 16), self.at);
            let (account, file_name) = (self.key.account.clone(), Some(file.name));
            self.world.files.keep(Media {
                id: id.clone(),
                account,
                mime: file.mime,
                file_name,
                bytes: file.bytes.into(),
                at,
            });
            id
        });
        let chat = self.world.chat_mut(self.key);
        chat.entries.push(entry);
        chat.history.push(Happened { at: self.at, kind: kind.to_owned() });
        Ok(())
    }

    /// Mail to the address that one of the letters names for it (RFC 2369).
    fn unsubscribes(&mut self) -> Result<Acted, Problem> {
        let found = mailbox(self.world, &self.key.account)?;
        let listed = found.latest(&self.customer.id, |letter| letter.unsubscribe.is_some());
        let to = listed.and_then(|letter| letter.unsubscribe.clone());
        let to =
            to.ok_or_else(|| Problem::conflict("no letter says in List-Unsubscribe where to; `block` calls it spam"))?;
        let address = self.customer.address("email").to_owned();
        let words = Words { subject: Some("unsubscribe".to_owned()), ..Words::text("unsubscribe") };
        let draft = self.draft(None, words, (self.customer.name.clone(), address.clone()), address)?;
        let draft = Draft { to: vec![to.clone()], recipient: to, ..draft };
        let delivery = webhook::report(self.world, &self.key.account, "unsubscribe", &draft)?;
        self.notes("unsubscribe");
        Ok(Acted { message_id: Some(draft.id), deliveries: delivery.into_iter().collect(), at: self.at })
    }

    fn complains(&mut self) -> Result<Acted, Problem> {
        let delivery = reports::complaint(self.world, &self.key.account, &self.customer.id)?;
        self.notes("complaint");
        Ok(self.told(delivery))
    }

    fn notes(&mut self, kind: &str) -> Acted {
        self.world.chat_mut(self.key).history.push(Happened { at: self.at, kind: kind.to_owned() });
        self.told(None)
    }

    fn told(&self, delivery: Option<u64>) -> Acted {
        Acted { message_id: None, deliveries: delivery.into_iter().collect(), at: self.at }
    }

    /// What mail alone has.
    fn other(&mut self, kind: &str, data: &Value, named: Option<&str>) -> Result<Acted, Problem> {
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match kind {
            "mail" => {
                let cc = data.get("cc").and_then(Value::as_array).into_iter().flatten();
                let words = Words {
                    subject: text("subject"),
                    html: text("html"),
                    cc: cc.filter_map(|one| one.as_str().map(str::to_owned)).collect(),
                    ..Words::text(&text("text").unwrap_or_default())
                };
                let answered = named.map(|id| self.answered(Some(id))).transpose()?.flatten();
                self.writes(answered.as_ref(), words, "message")
            }
            "auto_reply" => {
                let answered = self.answered(named)?;
                let about = answered.as_ref().map(|letter| letter.subject.clone()).unwrap_or_default();
                let words = Words {
                    subject: Some(format!("Out of office: {about}")),
                    fields: vec![field("Auto-Submitted", "auto-replied"), field("Precedence", "auto_reply")],
                    ..Words::text(&text("text").unwrap_or_else(|| "I am away until Monday.".to_owned()))
                };
                self.writes(answered.as_ref(), words, "automatic")
            }
            "list" => {
                let words = Words {
                    subject: text("subject"),
                    fields: vec![field("List-Id", "<news.example.test>"), field("Precedence", "bulk")],
                    ..Words::text(&text("text").unwrap_or_else(|| "This month's news.".to_owned()))
                };
                self.writes(None, words, "automatic")
            }
            "third_party" => self.third_party(text("name"), text("address"), text("text"), named),
            "bounce" | "delayed" => {
                let answered = self.answered(named)?.filter(|letter| letter.ours);
                let letter = answered.ok_or_else(|| Problem::conflict("there is no letter that could come back"))?;
                let address = self.customer.address("email").to_owned();
                let delivery = match kind {
                    "bounce" => {
                        let status = text("status").unwrap_or_else(|| "5.1.1".to_owned());
                        reports::bounced(self.world, &self.key.account, &letter.id, &address, &status)
                    }
                    _ => reports::delayed(self.world, &self.key.account, &letter.id, &address),
                };
                Ok(self.told(delivery))
            }
            other => {
                let known = "mail, auto_reply, list, third_party, bounce and delayed";
                Err(Problem::invalid(format!("mail knows no `{other}`: {known}")))
            }
        }
    }

    /// Somebody else who got a copy answers it. It counts for nobody here.
    fn third_party(
        &mut self,
        name: Option<String>,
        address: Option<String>,
        text: Option<String>,
        named: Option<&str>,
    ) -> Result<Acted, Problem> {
        let address = address.filter(|address| is_address(address));
        let address = address.ok_or_else(|| Problem::invalid("third_party: an `address` is needed"))?;
        let answered = self.answered(named)?;
        let words = Words::text(&text.unwrap_or_else(|| "I can help with that.".to_owned()));
        let from = (name.unwrap_or_else(|| address.clone()), address.clone());
        let draft = self.draft(answered.as_ref(), words, from, address)?;
        let draft = Draft { cc: vec![self.customer.address("email").to_owned()], ..draft };
        let delivery = webhook::report(self.world, &self.key.account, "message", &draft)?;
        Ok(Acted { message_id: Some(draft.id), deliveries: delivery.into_iter().collect(), at: self.at })
    }
}

/// One `Re: `, in front of a subject that has none.
fn again(subject: &str) -> String {
    if subject.get(..3).is_some_and(|begin| begin.eq_ignore_ascii_case("re:")) {
        subject.to_owned()
    } else {
        format!("Re: {subject}")
    }
}

fn enclosed(file: &MediaAct) -> Result<Enclosed, Problem> {
    let (mime, bytes) = file.content()?;
    let usual = mime.rsplit('/').next().unwrap_or("bin").to_owned();
    let name = file.file_name.clone().unwrap_or_else(|| format!("file.{usual}"));
    Ok(Enclosed { name, mime, bytes: bytes.to_vec() })
}
