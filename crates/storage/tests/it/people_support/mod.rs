//! A workspace with two accounts, and short ways to say who writes what.

use serde_json::json;
use time::OffsetDateTime;

pub(crate) use crate::common::*;

#[derive(Debug, Clone)]
pub(crate) struct Desk {
    pub(crate) storage: Storage,
    pub(crate) scope: WorkspaceScope,
    pub(crate) account: ChannelAccountId,
    pub(crate) other_account: ChannelAccountId,
}

impl Desk {
    pub(crate) async fn open(db: &TestDatabase) -> Self {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        Self::of(storage, scope).await
    }

    pub(crate) async fn of(storage: Storage, scope: WorkspaceScope) -> Self {
        let desk = Self { storage, scope, account: id(), other_account: id() };
        for (account, platform) in [(desk.account, "alpha"), (desk.other_account, "beta")] {
            let connection = Connection { id: id(), platform: platform.into(), name: platform.into() };
            let account =
                ChannelAccount { id: account, external_key: platform.into(), ..an_account(connection.id, platform) };
            in_tx!(desk, [connection, account], tx => {
                tx.put_connection(&connection, &json!({}), NOON).await?;
                tx.put_account(&account, NOON).await
            })
            .unwrap();
        }
        desk
    }

    pub(crate) fn reader(&self) -> Reader {
        self.storage.reader(&self.scope)
    }

    pub(crate) async fn agent(&self) -> Agent {
        let agent =
            Agent { id: id(), workspace: self.scope.workspace(), name: "Ada".into(), alias: None, role: Role::Agent };
        in_tx!(self, [agent], tx => tx.put_agent(&agent, true, NOON).await).unwrap();
        agent
    }

    pub(crate) async fn team(&self, name: &str) -> TeamId {
        let team = Team { id: id(), name: name.into() };
        in_tx!(self, [team], tx => tx.put_team(&team, NOON).await).unwrap();
        team.id
    }

    /// Somebody who is known by these addresses.
    pub(crate) fn seed(&self, addresses: &[(&str, &str)]) -> PersonSeed {
        PersonSeed {
            identity: id(),
            contact: id(),
            account: self.account,
            addresses: addresses.iter().map(|(kind, value)| Address::new(*kind, *value)).collect(),
            profile: Profile::default(),
            at: NOON,
        }
    }

    pub(crate) fn named(&self, addresses: &[(&str, &str)], name: &str) -> PersonSeed {
        PersonSeed { profile: Profile { name: Some(name.into()), ..Profile::default() }, ..self.seed(addresses) }
    }

    pub(crate) async fn meet(&self, seed: &PersonSeed) -> Met {
        let met = in_tx!(self, [seed], tx => tx.meet(&seed, NOON).await).unwrap();
        // The same account in a call and in the answer.
        assert_eq!(met.identity.account, seed.account);
        met
    }

    /// A conversation, open and with nobody.
    pub(crate) async fn open_conversation(&self, met: &Met) -> StoredConversation {
        let conversation = conversation(met.identity.id, "");
        let met = met.clone();
        in_tx!(self, [conversation, met], tx => {
            assert!(tx.insert_conversation(&conversation, met.contact, met.identity.account, NOON).await?);
            let start = EpisodeStart { cause: "inbound".into(), message: None, by: Actor::Customer };
            tx.begin_episode(&conversation, &start, NOON).await?;
            Ok(tx.lock_conversation(conversation.id).await?.unwrap())
        })
        .unwrap()
    }

    pub(crate) async fn open_conversation_or_known(&self, met: &Met) -> StoredConversation {
        let (fresh, met) = (conversation(met.identity.id, ""), met.clone());
        in_tx!(self, [fresh, met], tx => {
            tx.lock_or_insert_conversation(&fresh, met.contact, met.identity.account, NOON).await
        })
        .unwrap()
    }

    /// A new person with an open conversation.
    pub(crate) async fn customer(&self, user: &str) -> (Met, StoredConversation) {
        let met = self.meet(&self.named(&[("user_id", user)], user)).await;
        let conversation = self.open_conversation(&met).await;
        (met, conversation)
    }
}

pub(crate) fn conversation(identity: IdentityId, thread: &str) -> Conversation {
    Conversation {
        id: id(),
        identity,
        thread: thread.into(),
        status: Status::Open,
        assignment: Assignment::NONE,
        episode: id(),
        episodes: 1,
        status_since: NOON,
    }
}

/// Something the customer wrote.
pub(crate) fn inbound(stored: &StoredConversation, text: &str, at: OffsetDateTime) -> NewMessage {
    NewMessage {
        message: Message {
            id: id(),
            conversation: stored.conversation.id,
            kind: MessageKind::Reply,
            direction: Direction::Inbound,
            author: Author::Actor(Actor::Customer),
            content: Content::text(text),
            state: None,
            at,
        },
        account: stored.account,
        identity: stored.conversation.identity,
        provider_id: Some(format!("in-{text}-{}", UuidV7.next())),
        reply_to: None,
        payload: None,
        permit: None,
        extra: json!({}),
    }
}

/// Something an agent writes.
pub(crate) fn outbound(stored: &StoredConversation, agent: &Agent, text: &str, at: OffsetDateTime) -> NewMessage {
    let written = inbound(stored, text, at);
    NewMessage {
        message: Message {
            direction: Direction::Outbound,
            author: Author::Actor(Actor::from(agent)),
            state: Some(DeliveryState::Queued),
            ..written.message
        },
        provider_id: None,
        ..written
    }
}

pub(crate) fn touch(new: &NewMessage, by_person: bool) -> Touch {
    Touch { at: new.message.at, direction: new.message.direction, by_person, preview: new.message.content.preview() }
}
