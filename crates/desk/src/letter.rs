//! What makes a draft a letter: its subject, who writes and who reads it, and the earlier one that it answers.

use transom_channel::Channel;
use transom_domain::{Attachment, Body, Content, Direction, Identity, Mail, MessageId, SenderAddress};
use transom_storage::{StoredConversation, StoredMessage, Tx};

use crate::DeskError;
use crate::send::{Draft, quoted_provider_id};

/// The longest subject, in characters (email.md 2).
const LONGEST_SUBJECT: usize = 255;
/// Of an answer to a letter that had no subject: what mail programs write.
const BARE_ANSWER: &str = "Re:";
/// Everybody who reads a letter, the customer among them: so many a server must take (RFC 5321 section 4.5.3.1.8).
const MOST_READERS: usize = 100;
/// The longest address, and the longest part of one before the `@` (RFC 5321 section 4.5.3.1).
const LONGEST_ADDRESS: usize = 254;
const LONGEST_LOCAL: usize = 64;

/// What a draft has that only a letter can have.
pub(crate) fn field_of(draft: &Draft) -> Option<&'static str> {
    let given = [
        ("subject", draft.subject.is_some()),
        ("from", draft.from.is_some()),
        ("cc", !draft.cc.is_empty()),
        ("bcc", !draft.bcc.is_empty()),
        ("html", draft.html.is_some()),
    ];
    given.into_iter().find_map(|(field, given)| given.then_some(field))
}

/// A letter, and the message that it answers.
pub(crate) struct Composed {
    pub(crate) content: Content,
    pub(crate) answers: Option<MessageId>,
}

/// Makes a letter of a draft's words and files.
///
/// Without a message to answer it answers the customer's last one, or the last one at all; the first of a thread answers none.
///
/// # Errors
/// [`DeskError::Invalid`] says what is missing or wrong.
pub(crate) async fn compose(
    tx: &Tx,
    channel: &dyn Channel,
    (stored, identity): (&StoredConversation, &Identity),
    draft: &Draft,
    attachments: Vec<Attachment>,
) -> Result<Composed, DeskError> {
    let answered = match draft.reply_to {
        Some(id) => Some(quoted(tx, stored, id).await?),
        None => tx.last_to_answer(stored.conversation.id).await?.map(Answered::from),
    };
    if draft.html.is_some() && draft.text.as_deref().is_none_or(|text| text.trim().is_empty()) {
        let detail = "give the words as `text` too: some readers see no HTML";
        return Err(DeskError::invalid("text_missing", "text", detail));
    }
    let letter = answered.as_ref().and_then(|answered| answered.letter.as_ref());
    let readers = Readers::of(draft, identity)?;
    let mail = Mail {
        subject: Some(subject(draft.subject.as_deref(), answered.is_some(), letter)?),
        text: draft.text.clone().unwrap_or_default(),
        html: draft.html.clone(),
        attachments,
        from: sender(channel.senders(), draft.from.as_deref(), answered.as_ref())?,
        to: Vec::new(),
        cc: readers.cc,
        bcc: readers.bcc,
        references: answered.as_ref().map(Answered::references).unwrap_or_default(),
        source: None,
    };
    // The references tie it to the thread; a quote is more, where there is such a thing.
    let quotes = channel.capabilities().quotes;
    let reply_to = answered.as_ref().filter(|_| quotes).and_then(|answered| answered.id.clone());
    Ok(Composed { content: Content { body: Body::Mail(mail), reply_to }, answers: answered.map(|of| of.message) })
}

/// Whether a part is the copy of a blind reader: of those the customer sees nothing, so their order tells the customer nothing
/// (P9), and one that can't be delivered keeps no later letter back.
pub(crate) fn is_blind_copy(part: &Content) -> bool {
    matches!(&part.body, Body::Mail(mail) if !mail.bcc.is_empty())
}

/// Whether it is a letter to this person that answers nothing they wrote.
pub(crate) async fn is_unsolicited(tx: &Tx, person: &Identity, content: &Content) -> Result<bool, DeskError> {
    let Body::Mail(mail) = &content.body else { return Ok(false) };
    let named: Vec<&str> = mail.references.iter().chain(&content.reply_to).map(String::as_str).collect();
    Ok(!tx.came_from(person.account, person.id, &named).await?)
}

/// The message that a letter answers.
struct Answered {
    message: MessageId,
    /// Its id, such as references name (RFC 5322 section 3.6.4), once it has one.
    id: Option<String>,
    direction: Direction,
    letter: Option<Mail>,
}

impl From<StoredMessage> for Answered {
    fn from(stored: StoredMessage) -> Self {
        // One that had no such id can't be named.
        let id = provider_id(&stored).filter(|id| id.starts_with('<') && id.ends_with('>'));
        let letter = match stored.message.content.body {
            Body::Mail(mail) => Some(mail),
            _ => None,
        };
        Self { message: stored.message.id, id, direction: stored.message.direction, letter }
    }
}

impl Answered {
    /// What ties the answer to the thread. One of ours that is still on its way has no id to name yet.
    fn references(&self) -> Vec<String> {
        match (&self.id, &self.letter) {
            (Some(id), Some(letter)) => letter.references_of_answer(id),
            (Some(id), None) => vec![id.clone()],
            (None, Some(letter)) => letter.references.clone(),
            (None, None) => Vec::new(),
        }
    }

    /// The addresses under which we stood in it: the first of them that is ours writes the answer.
    fn ours(&self) -> Vec<&str> {
        let Some(letter) = &self.letter else { return Vec::new() };
        match self.direction {
            Direction::Inbound => letter.to.iter().chain(&letter.cc).map(String::as_str).collect(),
            Direction::Outbound | Direction::Internal => letter.from.iter().map(String::as_str).collect(),
        }
    }
}

async fn quoted(tx: &Tx, stored: &StoredConversation, id: MessageId) -> Result<Answered, DeskError> {
    quoted_provider_id(tx, stored, id).await?;
    let message = tx.message(id).await?.ok_or(DeskError::NotFound { what: "message to quote" })?;
    Ok(message.into())
}

fn provider_id(stored: &StoredMessage) -> Option<String> {
    let of_part = || stored.parts.iter().find_map(|part| part.part.provider_id.clone());
    stored.provider_id.clone().or_else(of_part)
}

/// The subject: what the draft says, else that of the letter it answers.
fn subject(given: Option<&str>, answers: bool, letter: Option<&Mail>) -> Result<String, DeskError> {
    let given = given.map(one_line).filter(|given| !given.is_empty());
    match (given, answers) {
        (Some(given), _) => match given.chars().count() {
            length if length > LONGEST_SUBJECT => {
                let detail = format!("the subject has {length} characters, and at most {LONGEST_SUBJECT} are taken");
                Err(DeskError::invalid("subject_too_long", "subject", detail))
            }
            _ => Ok(given),
        },
        (None, true) => {
            let kept = letter.and_then(Mail::subject_of_answer).map(|kept| one_line(&kept));
            let kept = kept.unwrap_or_else(|| BARE_ANSWER.to_owned());
            Ok(kept.chars().take(LONGEST_SUBJECT).collect())
        }
        (None, false) => {
            let detail = "a letter that begins a thread needs a subject: give one as `subject`";
            Err(DeskError::invalid("subject_required", "subject", detail))
        }
    }
}

/// Without line ends and other control characters, and with single spaces: it becomes a header.
pub(crate) fn one_line(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// From whom: one of the account's senders. Unless said, the one that was written to, else the default.
fn sender(
    senders: &[SenderAddress],
    given: Option<&str>,
    answered: Option<&Answered>,
) -> Result<Option<String>, DeskError> {
    let known = |address: &str| senders.iter().find(|sender| sender.address.eq_ignore_ascii_case(address.trim()));
    if let Some(given) = given {
        return match known(given) {
            Some(sender) => Ok(Some(sender.address.clone())),
            None => {
                let all: Vec<&str> = senders.iter().map(|sender| sender.address.as_str()).collect();
                let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
                let detail = format!("the channel can't write from `{given}`; its senders: {all}");
                Err(DeskError::invalid("sender_unknown", "from", detail))
            }
        };
    }
    let ours = answered.map(Answered::ours).unwrap_or_default();
    let written_to = ours.into_iter().find_map(|address| known(address).or_else(|| known(&without_tag(address))));
    let usual = || senders.iter().find(|sender| sender.default).or(senders.first());
    Ok(written_to.or_else(usual).map(|sender| sender.address.clone()))
}

/// An address without what stands behind a `+`: answers may come to such a one (RFC 5233).
fn without_tag(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            let local = local.split_once('+').map_or(local, |(local, _)| local);
            format!("{local}@{domain}")
        }
        None => address.to_owned(),
    }
}

/// The readers beside the customer, each once.
struct Readers {
    cc: Vec<String>,
    bcc: Vec<String>,
}

impl Readers {
    fn of(draft: &Draft, customer: &Identity) -> Result<Self, DeskError> {
        let mut known: Vec<String> = customer.addresses.iter().map(|address| address.value.to_lowercase()).collect();
        let mut once = |field: &'static str, given: &[String]| {
            let mut readers = Vec::new();
            for address in given {
                let address = reader(field, address)?;
                let same = address.to_lowercase();
                if !known.contains(&same) {
                    known.push(same);
                    readers.push(address);
                }
            }
            Ok::<_, DeskError>(readers)
        };
        let readers = Self { cc: once("cc", &draft.cc)?, bcc: once("bcc", &draft.bcc)? };
        let count = 1 + readers.cc.len() + readers.bcc.len();
        if count > MOST_READERS {
            let detail = format!(
                "the letter has {count} readers, the customer among them, and at most {MOST_READERS} are taken"
            );
            return Err(DeskError::invalid("too_many_readers", "cc", detail));
        }
        Ok(readers)
    }
}

/// One bare address, its domain in lower case.
fn reader(field: &'static str, given: &str) -> Result<String, DeskError> {
    let given = given.trim();
    let (local, domain) = given.rsplit_once('@').unwrap_or_default();
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"@".contains(c);
    let whole = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
    let fits = given.len() <= LONGEST_ADDRESS && local.len() <= LONGEST_LOCAL;
    if fits && whole(local) && whole(domain) && !local.contains(odd) && !domain.contains(odd) {
        return Ok(format!("{local}@{}", domain.to_lowercase()));
    }
    let detail = format!("`{given}` is no bare address such as ann@example.com");
    Err(DeskError::invalid("reader_invalid", field, detail))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use transom_domain::{Address, ChannelAccountId, ContactId, IdentityId, UuidV7};

    use super::*;

    fn letter(subject: Option<&str>) -> Mail {
        Mail { subject: subject.map(str::to_owned), ..Mail::default() }
    }

    fn senders() -> [SenderAddress; 2] {
        let sender =
            |address: &str, default| SenderAddress { address: address.into(), name: None, reply_to: None, default };
        [sender("sales@shop.test", false), sender("help@shop.test", true)]
    }

    fn received(to: &[&str], cc: &[&str]) -> Answered {
        let all = |addresses: &[&str]| addresses.iter().map(|address| (*address).to_owned()).collect();
        let letter = Some(Mail { to: all(to), cc: all(cc), references: vec!["<0@a>".into()], ..Mail::default() });
        Answered { message: MessageId::new(&UuidV7), id: Some("<1@a>".into()), direction: Direction::Inbound, letter }
    }

    #[rstest]
    #[case(Some(" Order\r\nBcc: x\t 7\u{0} "), false, None, Some("Order Bcc: x 7"))]
    #[case(Some("\r\n "), false, None, None)]
    #[case(None, true, Some(letter(Some("Order 7"))), Some("Re: Order 7"))]
    #[case(Some("Another"), true, Some(letter(Some("Order 7"))), Some("Another"))]
    #[case(None, true, Some(letter(None)), Some("Re:"))]
    #[case(None, true, None, Some("Re:"))]
    fn a_subject_is_one_line_and_kept_by_an_answer(
        #[case] given: Option<&str>,
        #[case] answers: bool,
        #[case] of: Option<Mail>,
        #[case] said: Option<&str>,
    ) {
        assert_eq!(subject(given, answers, of.as_ref()).ok().as_deref(), said);
    }

    #[test]
    fn a_subject_that_we_write_is_refused_and_one_that_we_keep_is_cut() {
        let long = "ö".repeat(256);
        assert_eq!(subject(Some(&long), false, None).unwrap_err().code(), "subject_too_long");
        assert_eq!(subject(Some(&long[2..]), false, None).unwrap().chars().count(), 255);
        assert_eq!(subject(None, true, Some(&letter(Some(&long)))).unwrap().chars().count(), 255);
    }

    #[rstest]
    #[case(Some("SALES@shop.test"), None, Ok("sales@shop.test"))]
    #[case(Some("boss@shop.test"), None, Err("sender_unknown"))]
    #[case(None, None, Ok("help@shop.test"))]
    #[case(None, Some(received(&["x@else.test", "Sales@Shop.test"], &[])), Ok("sales@shop.test"))]
    #[case(None, Some(received(&["x@else.test"], &["sales+c_9f@shop.test"])), Ok("sales@shop.test"))]
    #[case(None, Some(received(&["x@else.test"], &[])), Ok("help@shop.test"))]
    fn the_sender_is_who_was_written_to(
        #[case] given: Option<&str>,
        #[case] answered: Option<Answered>,
        #[case] from: Result<&str, &str>,
    ) {
        let found = sender(&senders(), given, answered.as_ref());
        assert_eq!(found.as_ref().map(|from| from.as_deref().unwrap()).map_err(DeskError::code), from);
    }

    #[test]
    fn a_channel_without_senders_leaves_it_open() {
        assert_eq!(sender(&[], None, None).unwrap(), None);
    }

    #[rstest]
    #[case("ann@Example.TEST", Some("ann@example.test"))]
    #[case(" Ann.Lee+shop@example.test ", Some("Ann.Lee+shop@example.test"))]
    #[case("ann@müller.example", Some("ann@müller.example"))]
    #[case("Ann <ann@example.test>", None)]
    #[case("ann@example.test, bob@example.test", None)]
    #[case("ann@example.test\r\nBcc: bob@example.test", None)]
    #[case("ann@@example.test", None)]
    #[case(".ann@example.test", None)]
    #[case("ann@example..test", None)]
    #[case("ann", None)]
    #[case("", None)]
    fn a_reader_is_one_bare_address(#[case] given: &str, #[case] address: Option<&str>) {
        assert_eq!(reader("cc", given).ok().as_deref(), address);
    }

    #[test]
    fn nobody_reads_twice_and_a_hundred_are_enough() {
        let customer = Identity {
            id: IdentityId::new(&UuidV7),
            contact: ContactId::new(&UuidV7),
            account: ChannelAccountId::new(&UuidV7),
            addresses: vec![Address::new("email", "ann@example.test")],
        };
        let all = |addresses: &[&str]| addresses.iter().map(|address| (*address).to_owned()).collect::<Vec<_>>();
        let draft = Draft {
            cc: all(&["bob@a.test", "ANN@example.test", "Bob@A.test"]),
            bcc: all(&["bob@a.test", "eve@a.test"]),
            ..Draft::default()
        };
        let readers = Readers::of(&draft, &customer).unwrap();
        assert_eq!((readers.cc, readers.bcc), (all(&["bob@a.test"]), all(&["eve@a.test"])));
        let crowd = |count| Draft { cc: (0..count).map(|n| format!("r{n}@a.test")).collect(), ..Draft::default() };
        assert!(Readers::of(&crowd(99), &customer).is_ok());
        let refused = Readers::of(&crowd(100), &customer).map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), "too_many_readers");
    }

    #[test]
    fn an_answer_names_the_thread_so_far() {
        let mut answered = received(&[], &[]);
        assert_eq!(answered.references(), ["<0@a>", "<1@a>"]);
        // One of ours that is still on its way.
        answered.id = None;
        assert_eq!(answered.references(), ["<0@a>"]);
    }
}
