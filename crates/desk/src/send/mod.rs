//! Send a reply: reopens the conversation for its sender if it is not open.
//!
//! One transaction: message, parts, outbox, quota, reopening and event, or nothing. The dispatcher decides again before
//! anything leaves.

mod content;
mod hand;
mod step;
mod thread;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use transom_channel::{Channel, PlannedPart};
use transom_domain::{
    Attachment, Author, ChannelAccount, ChannelAccountId, Choices, ContactCard, ContactId, Content, ConversationId,
    DeliveryState, Direction, Location, Message, MessageId, MessageKind, Part, PartId, SavedReplyId,
    TemplateParameters,
};
use transom_storage::{NewMessage, NewOutbox, StoredConversation, Touch, Tx, WorkspaceScope};
use transom_windows::{Ask, Permit, PermitRecord, Policy, Sender};

use crate::authorise::{Action, Caller, authorise};
use crate::changes;
use crate::house::HouseRules;
use crate::idempotency::Once;
use crate::may_send::{Verdict, ask_for, may_send, promoting};
use crate::moments::missed;
use crate::outbound::Person;
use crate::quota::reservations;
use crate::situation::{Situation, wires};
use crate::{Desk, DeskError, bots, letter, signature, tags};
pub(crate) use content::quoted_provider_id;
pub(crate) use hand::{Hand, worth_sending_for};
pub(crate) use step::{Step, Waiting, in_time, overtaken};
pub(crate) use thread::first_address;
use thread::{Thread, To};

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Draft {
    /// Words.
    pub text: Option<String>,
    /// The saved reply that the words are; with `text`, that is what the sender made of it. Its places are filled either way.
    pub saved_reply: Option<SavedReplyId>,
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
    /// When it shall leave, if not at once.
    #[serde(with = "time::serde::rfc3339::option")]
    pub send_at: Option<OffsetDateTime>,
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
    authorise(caller, Action::SendMessages)?;
    let job = Job::of(desk, &caller.scope, Hand::of(&caller.agent), target, draft, once).await?;
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

/// Everything about a message that is known before its transaction.
pub(crate) struct Job {
    desk: Desk,
    hand: Hand,
    to: To,
    step: Step,
    draft: Draft,
    once: Option<Once<Sent>>,
    account: Arc<ChannelAccount>,
    channel: Arc<dyn Channel>,
    policy: Policy,
    now: OffsetDateTime,
}

/// By which right a message leaves, and when.
struct Leave {
    permit: Permit,
    due_at: OffsetDateTime,
    expires_at: OffsetDateTime,
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
        scope: &WorkspaceScope,
        hand: Hand,
        target: Target,
        draft: Draft,
        once: Option<Once<Sent>>,
    ) -> Result<Arc<Self>, DeskError> {
        let step = Step::first(&draft, desk.now())?;
        Self::at_step(desk, scope, hand, target, (draft, step), once).await
    }

    /// The same for a message that may be stored already.
    pub(crate) async fn at_step(
        desk: &Desk,
        scope: &WorkspaceScope,
        hand: Hand,
        target: Target,
        (draft, step): (Draft, Step),
        once: Option<Once<Sent>>,
    ) -> Result<Arc<Self>, DeskError> {
        let reader = desk.reader(scope);
        let (to, account) = match target {
            Target::Conversation(id) => {
                let found = reader.conversation(id).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
                (To::Conversation { id, identity: found.conversation.identity }, found.account)
            }
            Target::Contact { contact, account } => {
                let found = reader.contact(contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                match found.identities.iter().find(|identity| identity.account == account) {
                    Some(identity) => (To::Identity(identity.id), account),
                    None => {
                        (To::Stranger { contact: found.contact.id, profile: Box::new(found.contact.profile) }, account)
                    }
                }
            }
            Target::Person { person, account } => (To::Person(Box::new(person.checked()?)), account),
        };
        let (account, channel, policy) = wires(desk, scope, account).await?;
        if account.removed_at.is_some() {
            let detail = format!("the channel `{}` was removed: write over another one", account.name);
            return Err(DeskError::conflict("channel_removed", detail));
        }
        Ok(Arc::new(Self {
            desk: desk.clone(),
            hand,
            to,
            step,
            draft,
            once,
            account,
            channel,
            policy,
            now: desk.now(),
        }))
    }

    /// Stores the message, and puts it on its way or keeps it for its time.
    pub(crate) async fn run(&self, tx: &Tx) -> Result<Sent, DeskError> {
        if let Some(once) = &self.once {
            once.begin(tx, self.now).await?;
        }
        let ready = self.ready(tx).await?;
        let Ready { id, situation, stored, contact_made, content, answers, ask, plan, verdict, .. } = ready;
        let Leave { permit, due_at, expires_at } = self.leave(verdict)?;

        if stored.window.policy_version.is_empty() {
            tx.save_window(situation.identity.id, &situation.columns(self.now), self.now).await?;
        }
        let record = permit.record();
        let signed = signature::of(tx, self.channel.as_ref(), &self.hand.actor).await?;
        let new = NewMessage {
            message: self.message(id, &stored, content),
            account: self.account.id,
            identity: situation.identity.id,
            provider_id: None,
            reply_to: answers,
            payload: None,
            permit: Some(record.clone()),
            extra: self.extra(ask, &json!(signed)),
        };
        self.keep(tx, &new).await?;
        let parts = self.parts(plan);
        tx.insert_parts(id, &parts).await?;
        let opened = if self.step.leaves() {
            tx.enqueue(&self.outbox_rows(&stored, &new.message, &parts, (due_at, expires_at)), self.now).await?;
            self.reserve(tx, &situation, &parts, &permit).await?;
            let opened = self.open(tx, &stored, id).await?;
            self.tell(tx, &stored, &new.message).await?;
            if self.hand.sender != Sender::Automation {
                missed::answered(tx, &stored, (id, record.basis.as_str()), self.now).await?;
            }
            opened
        } else {
            self.tell_of_plan(tx, &stored, &new.message).await?;
            false
        };
        let sent = Sent {
            message: id,
            conversation: stored.conversation.id,
            state: self.step.state(),
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

    /// By which right it goes, and when: what a rule of ours writes by night is kept for the morning, if it may go then still.
    fn leave(&self, verdict: Verdict) -> Result<Leave, DeskError> {
        let wanted_at = self.step.wanted_at().map_or(self.now, |at| at.min(self.now));
        let latest = wanted_at.saturating_add(self.hand.worth_sending_for(self.channel.patience()));
        let ends = |permit: &Permit| permit.send_before().map_or(latest, |end| end.min(latest));
        if let (Sender::Automation, Some(morning), Some(permit)) =
            (self.hand.sender, verdict.waits_until(), &verdict.permit)
            && morning < ends(permit)
        {
            return Ok(Leave { due_at: morning, expires_at: ends(permit), permit: permit.clone() });
        }
        let permit = verdict.into_permit()?;
        Ok(Leave { due_at: self.now, expires_at: ends(&permit), permit })
    }

    /// What the dispatcher asks again, and what else belongs to the message.
    fn extra(&self, ask: Ask, signed: &serde_json::Value) -> serde_json::Value {
        let tag = self.draft.message_tag.as_deref();
        let mut again = json!({ "sender": ask.sender(), "tag": tag, "signed": signed });
        set(&mut again, "promotional", self.hand.promotional.then_some(true));
        let mut asked = json!({ "ask": again });
        set(&mut asked, "broadcast", self.hand.broadcast);
        set(&mut asked, "saved_reply", self.draft.saved_reply);
        // Put on the conversation when it leaves: kept for whoever retries it if it does not.
        let kept = Some(&self.draft.conversation_tags).filter(|tags| !tags.is_empty() && !self.step.leaves());
        set(&mut asked, "conversation_tags", kept);
        self.step.mark(asked)
    }

    fn parts(&self, plan: Vec<PlannedPart>) -> Vec<Part> {
        let part = |(index, planned): (u32, PlannedPart)| Part {
            id: PartId::new(self.desk.ids()),
            index,
            content: planned.content,
            cost: planned.cost,
            state: self.step.state(),
            provider_id: None,
        };
        (0..).zip(plan).map(part).collect()
    }

    async fn reserve(&self, tx: &Tx, situation: &Situation, parts: &[Part], permit: &Permit) -> Result<(), DeskError> {
        for part in parts {
            let wanted = reservations(situation, permit, part.cost);
            if let Err(full) = tx.reserve(part.id, situation.identity.id, &wanted, self.now).await? {
                return Err(DeskError::conflict("quota_used", format!("the quota `{}` is used up", full.quota)));
            }
        }
        Ok(())
    }

    /// Everything up to the verdict; nothing of the message is stored.
    pub(crate) async fn ready(&self, tx: &Tx) -> Result<Ready, DeskError> {
        let id = self.step.message().unwrap_or_else(|| MessageId::new(self.desk.ids()));
        let Thread { identity, stored, contact_made, begins } = self.open_thread(tx, id).await?;
        let (mut content, answers) = self.content(tx, &stored, &identity).await?;
        let plan = self.channel.plan(&content)?;
        content::keep_as_planned(&mut content, &plan);
        let cost = plan.iter().map(|part| part.cost).fold(0, u32::saturating_add);

        let wires = (self.account.clone(), self.channel.clone(), self.policy.clone());
        let mut situation = Situation::load(tx, identity, wires, self.now).await?;
        if begins && situation.begin(self.now) {
            situation.save(tx, self.now).await?;
        }
        let unsolicited = letter::is_unsolicited(tx, &situation.identity, &content).await?;
        let house = HouseRules { unsolicited, ..self.house(tx, &stored).await? };
        let ask = ask_for(self.hand.sender, &content, cost)?;
        let ask = if self.hand.promotional { promoting(ask, &content) } else { ask };
        let tag = self.draft.message_tag.as_deref();
        let verdict = may_send(&situation, &house, ask, &content, tag, self.step.decided_at(self.now));
        Ok(Ready { id, situation, stored, contact_made, content, answers, ask, plan, cost, verdict })
    }

    async fn house(&self, tx: &Tx, stored: &StoredConversation) -> Result<HouseRules, DeskError> {
        let (settings, _) = tx.settings().await?;
        self.check_tags(tx).await?;
        let (over, to) = ((&*self.account, self.channel.as_ref()), (stored.contact, Some(stored)));
        let rules = HouseRules::opening_turn(tx, &settings, over, to, !self.draft.conversation_tags.is_empty()).await?;
        let at = self.step.decided_at(self.now);
        let rules = rules.by_the_clock(tx, &settings, self.hand.sender, stored.contact, at).await?;
        let author = Author::Actor(self.hand.actor.clone());
        let bot_unbound = bots::is_unbound(tx, self.hand.sender, &author, self.account.id).await?;
        let rules = HouseRules { bot_unbound, ..rules };
        Ok(if self.step.leaves() { rules } else { rules.for_later() })
    }

    async fn check_tags(&self, tx: &Tx) -> Result<(), DeskError> {
        if self.draft.conversation_tags.is_empty() {
            return Ok(());
        }
        let known = tx.known_tags().await?;
        match self.draft.conversation_tags.iter().find(|tag| !known.contains(tag)) {
            None => Ok(()),
            Some(tag) => Err(tags::unknown(tag, &known, "conversation_tags")),
        }
    }

    fn message(&self, id: MessageId, stored: &StoredConversation, content: Content) -> Message {
        Message {
            id,
            conversation: stored.conversation.id,
            kind: MessageKind::Reply,
            direction: Direction::Outbound,
            author: Author::Actor(self.hand.actor.clone()),
            content,
            state: Some(self.step.state()),
            at: self.now,
        }
    }

    fn outbox_rows(
        &self,
        stored: &StoredConversation,
        message: &Message,
        parts: &[Part],
        (due_at, expires_at): (OffsetDateTime, OffsetDateTime),
    ) -> Vec<NewOutbox> {
        let row = |part: &Part| NewOutbox {
            part: part.id,
            message: message.id,
            conversation: stored.conversation.id,
            account: self.account.id,
            identity: stored.conversation.identity,
            index: part.index,
            priority: self.hand.priority,
            due_at,
            expires_at,
            aside: letter::is_blind_copy(&part.content),
        };
        parts.iter().map(row).collect()
    }

    /// A person's message opens what is not open and takes what nobody has; a bot's changes neither.
    async fn open(&self, tx: &Tx, stored: &StoredConversation, message: MessageId) -> Result<bool, DeskError> {
        if !self.draft.conversation_tags.is_empty() {
            tx.add_tags(stored.conversation.id, &self.draft.conversation_tags, self.now).await?;
        }
        let Some(agent) = self.hand.opens_for else { return Ok(false) };
        changes::opened_by(tx, self.desk.ids(), stored, (agent, &self.hand.actor), message, self.now).await
    }

    async fn tell(&self, tx: &Tx, stored: &StoredConversation, message: &Message) -> Result<(), DeskError> {
        let touch = Touch {
            at: self.now,
            direction: Direction::Outbound,
            by_person: self.hand.is_a_persons_answer(),
            preview: preview(&message.content),
        };
        tx.touch_conversation(stored.conversation.id, &touch, self.now).await?;
        let data = json!({ "message": message.id, "state": DeliveryState::Queued, "author": message.author });
        changes::emit(tx, self.desk.ids(), stored, "message.queued", data, self.now).await
    }
}

/// The first line of a message, for lists.
pub(crate) fn preview(content: &Content) -> String {
    content.preview().chars().take(160).collect()
}

/// Says something of an object, where there is something to say.
fn set(object: &mut serde_json::Value, name: &str, value: Option<impl serde::Serialize>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(name.to_owned(), json!(value));
    }
}
