//! Send a reply: reopens the conversation for its sender if it is not open.
//!
//! One transaction: message, parts, outbox, quota, reopening and event, or nothing. The dispatcher decides again before
//! anything leaves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_channel::{Channel, ContactField, Patience, PlannedPart};
use transom_domain::{
    Actor, Address, Attachment, Author, Body, ChannelAccount, ChannelAccountId, Choices, ContactCard, ContactId,
    Content, Conversation, ConversationId, DeliveryState, Direction, EpisodeId, Identity, IdentityId, Location,
    Message, MessageId, MessageKind, Part, PartId, Profile, Status, TemplateParameters,
};
use transom_storage::{NewMessage, NewOutbox, PersonSeed, Priority, StoredConversation, Touch, Tx};
use transom_windows::{Ask, Blocker, Event, Permit, PermitRecord, Policy, What};

use crate::authorise::{Action, Caller, authorise};
use crate::changes::{self, Change};
use crate::house::HouseRules;
use crate::idempotency::Once;
use crate::may_send::{Verdict, ask_for, may_send, sender_of};
use crate::outbound::{self, Person};
use crate::quota::reservations;
use crate::situation::{Situation, wires};
use crate::{Desk, DeskError, attachments, letter};

/// After this long a person's reply is no longer worth sending (reliability.md 7).
pub(crate) const fn worth_sending_for(patience: Patience) -> Duration {
    match patience {
        Patience::Prompt => Duration::hours(4),
        Patience::Postal => Duration::hours(72),
    }
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Into a conversation that is there.
    Conversation(ConversationId),
    /// To a contact, over a channel account of the sender's choice: into the conversation there, or, where there are threads,
    /// into a new one.
    Contact {
        /// To whom.
        contact: ContactId,
        /// Over which account.
        account: ChannelAccountId,
    },
    /// To somebody who need not be a contact yet.
    Person {
        /// To whom.
        person: Box<Person>,
        /// Over which account.
        account: ChannelAccountId,
    },
}

/// What an agent wants to send.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draft {
    /// Words.
    pub text: Option<String>,
    /// Files: our own, or by public address.
    pub attachments: Vec<Attachment>,
    /// An approved template instead.
    pub template: Option<TemplateChoice>,
    /// Buttons or a list, with the words above them.
    pub choices: Option<Choices>,
    /// A place.
    pub location: Option<Location>,
    /// Contact cards.
    pub contacts: Vec<ContactCard>,
    /// The message that this one quotes; for a letter the one that it answers, if not the customer's last.
    pub reply_to: Option<MessageId>,
    /// Of a letter: its subject. Another one than the thread's stays in the conversation; mail programs may show it apart.
    pub subject: Option<String>,
    /// Of a letter: from which of the account's senders, if not the one that was written to.
    pub from: Option<String>,
    /// Of a letter: readers that everybody sees.
    pub cc: Vec<String>,
    /// Of a letter: readers that only we see.
    pub bcc: Vec<String>,
    /// Of a letter: the words as HTML, beside the text.
    pub html: Option<String>,
    /// The platform's message tag, if the sender insists on one.
    pub message_tag: Option<String>,
    /// Tags for the conversation that this message opens.
    pub conversation_tags: Vec<String>,
}

/// Which template, with which values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateChoice {
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// The values.
    #[serde(default)]
    pub parameters: TemplateParameters,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sent {
    /// The message.
    pub message: MessageId,
    /// Where it stands.
    pub conversation: ConversationId,
    /// How it fares so far.
    pub state: DeliveryState,
    /// By which right it goes.
    pub permit: PermitRecord,
    /// Whether it opened the conversation.
    pub opened: bool,
    /// To whom it goes.
    pub contact: ContactId,
    /// Whether the contact was made for it.
    pub contact_made: bool,
}

/// Sends a reply.
///
/// # Errors
/// [`DeskError::NotPermitted`] with every refusal and what would change it; [`DeskError::Invalid`] for content that the
/// channel can't carry; [`DeskError::NotFound`] for what is not in this workspace.
pub async fn send(
    desk: &Desk,
    caller: &Caller,
    target: Target,
    draft: Draft,
    once: Option<Once<Sent>>,
) -> Result<Sent, DeskError> {
    let job = Job::of(desk, caller, target, draft, once).await?;
    let sent = desk
        .storage()
        .transact(&caller.scope, move |tx| {
            let job = job.clone();
            Box::pin(async move { job.run(tx).await })
        })
        .await?;
    desk.work().outbound.notify_one();
    Ok(sent)
}

/// Whom it goes to, as far as that was known before the transaction.
#[derive(Debug, Clone)]
enum To {
    Conversation {
        id: ConversationId,
        identity: IdentityId,
    },
    Identity {
        id: IdentityId,
        contact: ContactId,
    },
    /// Not known on this account yet.
    Stranger {
        contact: ContactId,
        profile: Profile,
    },
    /// Perhaps not known at all yet.
    Person(Box<Person>),
}

/// Where the message goes, locked until the end of the transaction.
struct Thread {
    identity: Identity,
    stored: StoredConversation,
    contact_made: bool,
    /// They are written to here for the first time, by an address that we were told.
    begins: bool,
}

/// Everything about a message that is known before its transaction.
pub(crate) struct Job {
    desk: Desk,
    caller: Caller,
    to: To,
    draft: Draft,
    once: Option<Once<Sent>>,
    account: Arc<ChannelAccount>,
    channel: Arc<dyn Channel>,
    policy: Policy,
    now: OffsetDateTime,
}

/// A message that is ready to be stored, and whether it may be sent.
pub(crate) struct Ready {
    id: MessageId,
    situation: Situation,
    stored: StoredConversation,
    contact_made: bool,
    content: Content,
    /// The message that it quotes or answers.
    answers: Option<MessageId>,
    ask: Ask,
    pub(crate) plan: Vec<PlannedPart>,
    pub(crate) cost: u32,
    pub(crate) verdict: Verdict,
}

impl Job {
    pub(crate) async fn of(
        desk: &Desk,
        caller: &Caller,
        target: Target,
        draft: Draft,
        once: Option<Once<Sent>>,
    ) -> Result<Arc<Self>, DeskError> {
        authorise(caller, Action::SendMessages)?;
        let reader = desk.reader(&caller.scope);
        let (to, account) = match target {
            Target::Conversation(id) => {
                let found = reader.conversation(id).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
                (To::Conversation { id, identity: found.conversation.identity }, found.account)
            }
            Target::Contact { contact, account } => {
                let found = reader.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                match found.identities.iter().find(|identity| identity.account == account) {
                    Some(identity) => (To::Identity { id: identity.id, contact }, account),
                    None => (To::Stranger { contact, profile: found.contact.profile }, account),
                }
            }
            Target::Person { person, account } => (To::Person(Box::new(person.checked()?)), account),
        };
        let (account, channel, policy) = wires(desk, &caller.scope, account).await?;
        if account.removed_at.is_some() {
            let detail = format!("the channel `{}` was removed: write over another one", account.name);
            return Err(DeskError::conflict("channel_removed", detail));
        }
        Ok(Arc::new(Self {
            desk: desk.clone(),
            caller: caller.clone(),
            to,
            draft,
            once,
            account,
            channel,
            policy,
            now: desk.now(),
        }))
    }

    async fn run(&self, tx: &Tx) -> Result<Sent, DeskError> {
        if let Some(once) = &self.once {
            once.begin(tx, self.now).await?;
        }
        let ready = self.ready(tx).await?;
        let Ready { id, situation, stored, contact_made, content, answers, ask, plan, verdict, .. } = ready;
        let permit = verdict.into_permit()?;
        let tag = self.draft.message_tag.as_deref();

        if stored.window.policy_version.is_empty() {
            tx.save_window(situation.identity.id, &situation.columns(self.now)).await?;
        }
        let message = self.message(id, &stored, content);
        let record = permit.record();
        let extra = json!({ "ask": { "sender": ask.sender(), "tag": tag } });
        tx.insert_message(
            &NewMessage {
                message: message.clone(),
                account: self.account.id,
                identity: situation.identity.id,
                provider_id: None,
                reply_to: answers,
                payload: None,
                permit: Some(record.clone()),
                extra,
            },
            self.now,
        )
        .await?;
        let parts: Vec<Part> = (0..)
            .zip(plan)
            .map(|(index, planned)| Part {
                id: PartId::new(self.desk.ids()),
                index,
                content: planned.content,
                cost: planned.cost,
                state: DeliveryState::Queued,
                provider_id: None,
            })
            .collect();
        tx.insert_parts(message.id, &parts).await?;
        tx.enqueue(&self.outbox_rows(&stored, &message, &parts, &permit), self.now).await?;
        for part in &parts {
            let wanted = reservations(&situation, &permit, part.cost);
            if let Err(full) = tx.reserve(part.id, situation.identity.id, &wanted, self.now).await? {
                return Err(DeskError::conflict("quota_used", format!("the quota `{}` is used up", full.quota)));
            }
        }
        let opened = self.open(tx, &stored, message.id).await?;
        self.tell(tx, &stored, &message).await?;
        let sent = Sent {
            message: message.id,
            conversation: stored.conversation.id,
            state: DeliveryState::Queued,
            permit: record,
            opened,
            contact: stored.contact,
            contact_made,
        };
        if let Some(once) = &self.once {
            once.finish(tx, &sent).await?;
        }
        Ok(sent)
    }

    /// Everything up to the verdict; nothing of the message is stored.
    pub(crate) async fn ready(&self, tx: &Tx) -> Result<Ready, DeskError> {
        let id = MessageId::new(self.desk.ids());
        let Thread { identity, stored, contact_made, begins } = self.open_thread(tx, id).await?;
        let (mut content, answers) = self.content(tx, &stored, &identity).await?;
        let plan = self.channel.plan(&content)?;
        keep_as_planned(&mut content, &plan);
        let cost = plan.iter().map(|part| part.cost).fold(0, u32::saturating_add);

        let wires = (self.account.clone(), self.channel.clone(), self.policy.clone());
        let mut situation = Situation::load(tx, identity, wires, self.now).await?;
        if begins {
            self.begin_with(tx, &mut situation).await?;
        }
        let house = self.house(tx, &stored).await?;
        let ask = ask_for(sender_of(self.caller.agent.role), &content, cost)?;
        let tag = self.draft.message_tag.as_deref();
        let verdict = may_send(&situation, &house, ask, &content, tag, self.now);
        Ok(Ready { id, situation, stored, contact_made, content, answers, ask, plan, cost, verdict })
    }

    /// Locks the identity, then its conversation, and makes what is missing.
    async fn open_thread(&self, tx: &Tx, id: MessageId) -> Result<Thread, DeskError> {
        let there = |identity, stored| Thread { identity, stored, contact_made: false, begins: false };
        // Answers are matched by what they answer: the thread's own name has only to be like no other.
        let thread = if self.channel.capabilities().threads { id.to_string() } else { String::new() };
        match &self.to {
            To::Conversation { id, identity } => {
                let identity =
                    tx.lock_identity(*identity).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
                let stored = tx.lock_conversation(*id).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
                Ok(there(identity, stored))
            }
            To::Identity { id, contact } => {
                let identity = tx.lock_identity(*id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                let stored = self.conversation_of(tx, &identity, *contact, &thread).await?;
                Ok(there(identity, stored))
            }
            To::Stranger { contact, profile } => {
                let seed = PersonSeed {
                    identity: IdentityId::new(self.desk.ids()),
                    contact: *contact,
                    account: self.account.id,
                    addresses: vec![self.first_address(profile)?],
                    profile: Profile::default(),
                    at: self.now,
                };
                let met = tx.meet(&seed, self.now).await?;
                if met.new_identity {
                    self.keep_blocked(tx, &met.identity, met.contact).await?;
                }
                let stored = self.conversation_of(tx, &met.identity, met.contact, &thread).await?;
                Ok(Thread { begins: true, ..there(met.identity, stored) })
            }
            To::Person(person) => {
                let over = (self.account.id, self.channel.as_ref());
                let reached = outbound::reach(tx, &self.desk, over, person, self.now).await?;
                if reached.new_here && !reached.made {
                    self.keep_blocked(tx, &reached.identity, reached.contact).await?;
                }
                let stored = self.conversation_of(tx, &reached.identity, reached.contact, &thread).await?;
                Ok(Thread { contact_made: reached.made, begins: reached.new_here, ..there(reached.identity, stored) })
            }
        }
    }

    /// A block is of the contact: it counts on a channel that is new to them as well.
    async fn keep_blocked(&self, tx: &Tx, identity: &Identity, contact: ContactId) -> Result<(), DeskError> {
        if !tx.contact(contact).await?.is_some_and(|stored| stored.contact.blocked) {
            return Ok(());
        }
        let wires = (self.account.clone(), self.channel.clone(), self.policy.clone());
        let mut situation = Situation::load(tx, identity.clone(), wires, self.now).await?;
        situation.apply(&Event { at: self.now, what: What::Blocked { by: Blocker::Us } });
        situation.save(tx, self.now).await
    }

    async fn conversation_of(
        &self,
        tx: &Tx,
        identity: &Identity,
        contact: ContactId,
        thread: &str,
    ) -> Result<StoredConversation, DeskError> {
        if let Some(stored) = tx.lock_conversation_of(identity.id, thread).await? {
            return Ok(stored);
        }
        let fresh = Conversation {
            id: ConversationId::new(self.desk.ids()),
            identity: identity.id,
            thread: thread.to_owned(),
            // A conversation begins closed: what opens it makes its first episode.
            status: Status::Closed,
            assignment: transom_domain::Assignment::NONE,
            episode: EpisodeId::new(self.desk.ids()),
            episodes: 0,
            status_since: self.now,
        };
        tx.insert_conversation(&fresh, contact, self.account.id, self.now).await?;
        tx.lock_conversation_of(identity.id, thread).await?.ok_or(DeskError::NotFound { what: "conversation" })
    }

    /// The address under which a person can be written to who never wrote.
    fn first_address(&self, profile: &Profile) -> Result<Address, DeskError> {
        let rules = self.channel.capabilities().addresses.iter().filter(|rule| rule.can_start);
        let mut wanted = Vec::new();
        for (rule, field) in rules.filter_map(|rule| Some((rule, rule.from?))) {
            match field.of(profile) {
                // However it is written, it is one mailbox.
                Some(value) if field == ContactField::Email => {
                    return Ok(Address::new(rule.kind, value.to_lowercase()));
                }
                Some(value) => return Ok(Address::new(rule.kind, value)),
                None => wanted.push(field),
            }
        }
        if wanted.is_empty() {
            return Err(outbound::cannot_start());
        }
        let code = if wanted == [ContactField::Email] { "no_email_address" } else { "no_address" };
        let wanted: Vec<&str> = wanted.into_iter().map(ContactField::label).collect();
        Err(DeskError::conflict(
            code,
            format!("the contact has no {} to write to: add it to the contact first", wanted.join(" or ")),
        ))
    }

    /// Takes into the facts what it opens to write first to somebody by this address.
    async fn begin_with(&self, tx: &Tx, situation: &mut Situation) -> Result<(), DeskError> {
        let address = situation.identity.addresses.first();
        let kinds = address.map_or(&[][..], |address| self.channel.opens_by_starting(&address.kind));
        for kind in kinds {
            let what = What::Opening { kind: (*kind).to_owned(), reference: None };
            situation.apply(&Event { at: self.now, what });
        }
        if kinds.is_empty() { Ok(()) } else { situation.save(tx, self.now).await }
    }

    /// What it says, and the message that it answers or quotes.
    async fn content(
        &self,
        tx: &Tx,
        stored: &StoredConversation,
        identity: &Identity,
    ) -> Result<(Content, Option<MessageId>), DeskError> {
        let draft = &self.draft;
        let (letters, of_letters) = (self.channel.capabilities().threads, letter::field_of(draft));
        if let Some(field) = of_letters.filter(|_| !letters) {
            let detail = format!("this channel carries no letters: leave `{field}` out");
            return Err(DeskError::invalid("no_letters", field, detail));
        }
        // What is named must be there, whatever else is wrong with the message.
        let mut attachments = draft.attachments.clone();
        attachments::resolve(tx, &mut attachments).await?;
        let mut template = draft.template.clone();
        if let Some(choice) = &mut template {
            attachments::resolve_header(tx, &mut choice.parameters).await?;
        }
        let body = match (&template, &draft.choices, &draft.location, draft.contacts.is_empty()) {
            (Some(_), None, None, true) if draft.text.is_some() || !draft.attachments.is_empty() => {
                return Err(DeskError::invalid(
                    "content_ambiguous",
                    "template",
                    "a template goes alone: leave text and attachments out",
                ));
            }
            (Some(choice), None, None, true) => Body::Template(self.fill(tx, choice).await?),
            (None, Some(choices), None, true) => Body::Choices(choices.clone()),
            (None, None, Some(place), true) => Body::Location(place.clone()),
            (None, None, None, false) => Body::Contacts { contacts: draft.contacts.clone() },
            (None, None, None, true) if letters => {
                let place = (stored, identity);
                let letter = letter::compose(tx, self.channel.as_ref(), place, draft, attachments).await?;
                return Ok((letter.content, letter.answers));
            }
            (None, None, None, true) => Body::Text { text: draft.text.clone().unwrap_or_default(), attachments },
            _ => {
                return Err(DeskError::invalid(
                    "content_ambiguous",
                    "type",
                    "give one of: text with attachments, template, choices, location, contacts",
                ));
            }
        };
        if let Some(field) = of_letters {
            let detail = format!("only text and attachments make a letter: leave `{field}` out, or the rest");
            return Err(DeskError::invalid("content_ambiguous", field, detail));
        }
        let reply_to = match draft.reply_to {
            None => None,
            Some(id) => Some(quoted_provider_id(tx, stored, id).await?),
        };
        Ok((Content { body, reply_to }, draft.reply_to))
    }

    async fn fill(&self, tx: &Tx, choice: &TemplateChoice) -> Result<transom_domain::TemplateMessage, DeskError> {
        let template = tx.template(self.account.id, &choice.name, &choice.language).await?.ok_or_else(|| {
            DeskError::invalid(
                "template_unknown",
                "template",
                format!(
                    "the account has no template `{}` in `{}`: list them with GET /v1/channels/{}/templates",
                    choice.name, choice.language, self.account.id
                ),
            )
        })?;
        Ok(template.definition.fill(choice.parameters.clone())?)
    }

    async fn house(&self, tx: &Tx, stored: &StoredConversation) -> Result<HouseRules, DeskError> {
        let (settings, _) = tx.settings().await?;
        self.check_tags(tx).await?;
        let active = if settings.one_active_conversation_per_contact {
            tx.other_active_conversation(stored.contact, stored.conversation.id).await?
        } else {
            None
        };
        let has_tags = !stored.tags.is_empty() || !self.draft.conversation_tags.is_empty();
        Ok(HouseRules::of(stored.conversation.status, self.account.enabled).opening(
            &settings,
            active,
            has_tags,
            self.channel.capabilities().threads,
        ))
    }

    async fn check_tags(&self, tx: &Tx) -> Result<(), DeskError> {
        if self.draft.conversation_tags.is_empty() {
            return Ok(());
        }
        let known = tx.known_tags().await?;
        match self.draft.conversation_tags.iter().find(|tag| !known.contains(tag)) {
            None => Ok(()),
            Some(tag) => Err(DeskError::invalid(
                "tag_unknown",
                "conversation_tags",
                format!("the workspace has no tag `{tag}`; it has {}", known.join(", ")),
            )),
        }
    }

    fn message(&self, id: MessageId, stored: &StoredConversation, content: Content) -> Message {
        Message {
            id,
            conversation: stored.conversation.id,
            kind: MessageKind::Reply,
            direction: Direction::Outbound,
            author: Author::Actor(Actor::from(&self.caller.agent)),
            content,
            state: Some(DeliveryState::Queued),
            at: self.now,
        }
    }

    fn outbox_rows(
        &self,
        stored: &StoredConversation,
        message: &Message,
        parts: &[Part],
        permit: &Permit,
    ) -> Vec<NewOutbox> {
        let latest = self.now.saturating_add(worth_sending_for(self.channel.patience()));
        let expires_at = permit.send_before().map_or(latest, |end| end.min(latest));
        let row = |part: &Part| NewOutbox {
            part: part.id,
            message: message.id,
            conversation: stored.conversation.id,
            account: self.account.id,
            identity: stored.conversation.identity,
            index: part.index,
            priority: Priority::Reply,
            due_at: self.now,
            expires_at,
        };
        parts.iter().map(row).collect()
    }

    /// A person's message opens what is not open and takes what nobody has; a bot's changes neither.
    async fn open(&self, tx: &Tx, stored: &StoredConversation, message: MessageId) -> Result<bool, DeskError> {
        if !self.draft.conversation_tags.is_empty() {
            tx.add_tags(stored.conversation.id, &self.draft.conversation_tags, self.now).await?;
        }
        if !self.caller.agent.role.is_person() {
            return Ok(false);
        }
        let mut after = stored.conversation.clone();
        let episode = EpisodeId::new(self.desk.ids());
        let Some(transition) = after.opened_by_sender(self.caller.agent.id, episode, self.now) else {
            return Ok(false);
        };
        let by = Actor::from(&self.caller.agent);
        let change = Change::new(&by, "outbound", self.now).by_message(message);
        changes::record(tx, self.desk.ids(), stored, &after, &transition, &change).await?;
        Ok(transition.from != Status::Open)
    }

    async fn tell(&self, tx: &Tx, stored: &StoredConversation, message: &Message) -> Result<(), DeskError> {
        let touch = Touch {
            at: self.now,
            direction: Direction::Outbound,
            by_person: self.caller.agent.role.is_person(),
            preview: preview(&message.content),
        };
        tx.touch_conversation(stored.conversation.id, &touch, self.now).await?;
        let data = json!({ "message": message.id, "state": DeliveryState::Queued, "author": message.author });
        changes::emit(tx, self.desk.ids(), stored, "message.queued", data, self.now).await
    }
}

/// Keeps what goes out where the channel changed it: harmless HTML, and copies without our own addresses.
fn keep_as_planned(content: &mut Content, plan: &[PlannedPart]) {
    let planned = plan.first().map(|part| &part.content.body);
    if let (Body::Mail(mail), Some(Body::Mail(planned))) = (&mut content.body, planned) {
        mail.html.clone_from(&planned.html);
        mail.cc.clone_from(&planned.cc);
    }
}

/// The first line of a message, for lists.
pub(crate) fn preview(content: &Content) -> String {
    content.preview().chars().take(160).collect()
}

/// The platform's id of a message of the same conversation, for quoting it.
pub(crate) async fn quoted_provider_id(
    tx: &Tx,
    stored: &StoredConversation,
    id: MessageId,
) -> Result<String, DeskError> {
    let quoted = tx.message(id).await?.ok_or(DeskError::NotFound { what: "message to quote" })?;
    if quoted.message.conversation != stored.conversation.id {
        let detail = "the message to quote belongs to another conversation";
        return Err(DeskError::invalid("reply_to_unknown", "reply_to", detail));
    }
    let of_part = || quoted.parts.iter().find_map(|part| part.part.provider_id.clone());
    quoted.provider_id.clone().or_else(of_part).ok_or_else(|| {
        DeskError::conflict("reply_to_unsent", "the quoted message has no id on the platform yet: it can't be quoted")
    })
}
