//! Where a message goes: person and conversation, locked; what is missing is made.

use transom_channel::{Channel, ContactField};
use transom_domain::{
    Address, Assignment, ContactId, Conversation, ConversationId, EpisodeId, Identity, IdentityId, MessageId, Profile,
    Status,
};
use transom_storage::{PersonSeed, StoredConversation, Tx};

use super::Job;
use crate::DeskError;
use crate::outbound::{self, Person};
use crate::situation::Situation;

/// Whom it goes to, as far as that was known before the transaction.
#[derive(Debug, Clone)]
pub(super) enum To {
    Conversation {
        id: ConversationId,
        identity: IdentityId,
    },
    Identity(IdentityId),
    /// Not known on this account yet.
    Stranger {
        contact: ContactId,
        profile: Box<Profile>,
    },
    /// Perhaps not known at all yet.
    Person(Box<Person>),
}

/// Where the message goes, locked until the end of the transaction.
pub(super) struct Thread {
    pub(super) identity: Identity,
    pub(super) stored: StoredConversation,
    pub(super) contact_made: bool,
    /// They are written to here for the first time, by an address that we were told.
    pub(super) begins: bool,
}

impl Job {
    /// Locks the identity, then its conversation, and makes what is missing.
    pub(super) async fn open_thread(&self, tx: &Tx, id: MessageId) -> Result<Thread, DeskError> {
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
            To::Identity(id) => {
                let identity = tx.lock_identity(*id).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                let stored = self.conversation_of(tx, &identity, identity.contact, &thread).await?;
                Ok(there(identity, stored))
            }
            To::Stranger { contact, profile } => {
                // It may have become a part of another contact since.
                let contact = tx.hold_contact(*contact).await?.ok_or(DeskError::NotFound { what: "contact" })?;
                let seed = PersonSeed {
                    identity: IdentityId::new(self.desk.ids()),
                    contact,
                    account: self.account.id,
                    addresses: vec![first_address(self.channel.as_ref(), profile)?],
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
        situation.keep_blocked(self.now);
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
            assignment: Assignment::NONE,
            episode: EpisodeId::new(self.desk.ids()),
            episodes: 0,
            status_since: self.now,
        };
        tx.insert_conversation(&fresh, contact, self.account.id, self.now).await?;
        tx.lock_conversation_of(identity.id, thread).await?.ok_or(DeskError::NotFound { what: "conversation" })
    }
}

/// The address under which a person can be written to who never wrote.
pub(crate) fn first_address(channel: &dyn Channel, profile: &Profile) -> Result<Address, DeskError> {
    let rules = channel.capabilities().addresses.iter().filter(|rule| rule.can_start);
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
