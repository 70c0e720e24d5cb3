//! An inbox of open conversations, stored in a few statements: for what is done to many.

use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_domain::{
    Actor, Address, Assignment, Author, ChannelAccountId, ContactId, Content, Conversation, ConversationId, Direction,
    EpisodeId, IdentityId, Message, MessageId, MessageKind, Profile, Status, UuidV7,
};
use transom_windows::Person;

use crate::{
    EpisodeStart, NewConversation, NewMessage, PersonSeed, Storage, StorageError, Touch, Tx, WindowColumns,
    WorkspaceScope,
};

/// How many conversations one transaction stores.
const BATCH: usize = 500;

/// So many customers of an account, each with an open conversation of so many messages; the conversations, by id. `version` is
/// what their windows were derived by, as the conversations of the service have it.
///
/// # Errors
/// When the database fails.
pub async fn fill(
    storage: &Storage,
    scope: &WorkspaceScope,
    account: ChannelAccountId,
    (count, messages): (usize, usize),
    version: &str,
    now: OffsetDateTime,
) -> Result<Vec<ConversationId>, StorageError> {
    let mut all = Vec::with_capacity(count);
    for first in (0..count).step_by(BATCH) {
        let (numbers, version) = (first..count.min(first + BATCH), version.to_owned());
        let stored = storage.transact::<_, StorageError, _>(scope, move |tx| {
            let (numbers, version) = (numbers.clone(), version.clone());
            Box::pin(async move { store(tx, account, numbers, messages, &version, now).await })
        });
        all.extend(stored.await?);
    }
    all.sort_unstable();
    Ok(all)
}

async fn store(
    tx: &Tx,
    account: ChannelAccountId,
    numbers: std::ops::Range<usize>,
    messages: usize,
    version: &str,
    now: OffsetDateTime,
) -> Result<Vec<ConversationId>, StorageError> {
    let ids = &UuidV7;
    let (mut people, mut conversations, mut episodes, mut written) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in numbers {
        let (identity, contact) = (IdentityId::new(ids), ContactId::new(ids));
        let phone = format!("+49155{number:08}");
        let name = Some(format!("Person {number}"));
        let profile = Profile { name, phone: Some(phone.clone()), ..Profile::default() };
        let addresses = vec![Address::new("phone", phone)];
        people.push((PersonSeed { identity, contact, account, addresses, profile, at: now }, Person::default()));
        let conversation = Conversation {
            id: ConversationId::new(ids),
            identity,
            thread: String::new(),
            status: Status::Open,
            assignment: Assignment::NONE,
            episode: EpisodeId::new(ids),
            episodes: 1,
            status_since: now,
        };
        for index in 0..messages {
            let message = Message {
                id: MessageId::new(ids),
                conversation: conversation.id,
                kind: MessageKind::Reply,
                direction: Direction::Inbound,
                author: Author::Actor(Actor::Customer),
                content: Content::text(format!("message {index} of person {number}, \"quoted\", and on")),
                state: None,
                at: now + Duration::milliseconds(i64::try_from(index).unwrap_or_default()),
            };
            let (provider_id, reply_to, payload, permit) = (None, None, None, None);
            let extra = json!({});
            written.push((
                NewMessage { message, account, identity, provider_id, reply_to, payload, permit, extra },
                contact,
            ));
        }
        let start = EpisodeStart { cause: "inbound".to_owned(), message: None, by: Actor::Customer };
        episodes.push((conversation.clone(), start));
        conversations.push(NewConversation {
            conversation,
            contact,
            account,
            touch: Touch { at: now, direction: Direction::Inbound, by_person: false, preview: "message".to_owned() },
            window: WindowColumns {
                closes_at: None,
                ends_at: None,
                free_form_until: None,
                policy_version: version.to_owned(),
                recompute_at: None,
            },
        });
    }
    tx.insert_people(&people, now).await?;
    tx.insert_conversations(&conversations, now).await?;
    tx.begin_episodes(&episodes, now).await?;
    tx.insert_messages(&written, now).await?;
    Ok(conversations.into_iter().map(|new| new.conversation.id).collect())
}
