//! Many conversations at once, stored as a first message of each customer leaves them.

use transom_domain::{
    Actor, Address, Assignment, Author, ChannelAccountId, ContactId, Content, Conversation, ConversationId, Direction,
    EpisodeId, IdentityId, Ids as _, Message, MessageId, MessageKind, Profile, Status, UuidV7,
};
use transom_storage::{EpisodeStart, NewMessage, PersonSeed, StorageError, Tx};

use crate::{Stage, Trouble};

/// How many one transaction stores.
const BATCH: usize = 200;

/// So many customers on the platform, each with an open conversation of so many messages; the conversations, by id.
///
/// # Errors
/// [`Trouble`] when the database does not take them.
pub async fn crowd(
    stage: &Stage,
    platform: &str,
    count: usize,
    messages: usize,
) -> Result<Vec<ConversationId>, Trouble> {
    let account = stage.world.account(platform)?.ours.id;
    let (desk, scope) = (stage.world.desk(), &stage.world.caller.scope);
    let (mut all, mut made) = (Vec::with_capacity(count), 0);
    while made < count {
        let numbers: Vec<usize> = (made..count.min(made + BATCH)).collect();
        made += numbers.len();
        let now = stage.world.now();
        let stored = desk.storage().transact(scope, move |tx| {
            let numbers = numbers.clone();
            Box::pin(async move {
                let mut ids = Vec::with_capacity(numbers.len());
                for number in numbers {
                    ids.push(one(tx, account, number, messages, now).await?);
                }
                Ok::<_, StorageError>(ids)
            })
        });
        all.extend(stored.await.map_err(Trouble::new)?);
    }
    all.sort_unstable();
    Ok(all)
}

async fn one(
    tx: &Tx,
    account: ChannelAccountId,
    number: usize,
    messages: usize,
    now: time::OffsetDateTime,
) -> Result<ConversationId, StorageError> {
    let (identity, contact) = (IdentityId::new(&UuidV7), ContactId::new(&UuidV7));
    let phone = format!("+49155{number:08}");
    let profile = Profile { name: Some(format!("Person {number}")), phone: Some(phone.clone()), ..Profile::default() };
    let addresses = vec![Address { kind: "phone".to_owned(), value: phone }];
    tx.meet(&PersonSeed { identity, contact, account, addresses, profile, at: now }, now).await?;
    let conversation = Conversation {
        id: UuidV7.next().into(),
        identity,
        thread: String::new(),
        status: Status::Open,
        assignment: Assignment::NONE,
        episode: EpisodeId::new(&UuidV7),
        episodes: 1,
        status_since: now,
    };
    tx.insert_conversation(&conversation, contact, account, now).await?;
    let start = EpisodeStart { cause: "inbound".to_owned(), message: None, by: Actor::Customer };
    tx.begin_episode(&conversation, &start, now).await?;
    let written = |index: usize| NewMessage {
        message: Message {
            id: MessageId::new(&UuidV7),
            conversation: conversation.id,
            kind: MessageKind::Reply,
            direction: Direction::Inbound,
            author: Author::Actor(Actor::Customer),
            content: Content::text(format!("message {index} of person {number}, \"quoted\", and on")),
            state: None,
            at: now + time::Duration::milliseconds(i64::try_from(index).unwrap_or(0)),
        },
        account,
        identity,
        provider_id: None,
        reply_to: None,
        payload: None,
        permit: None,
        extra: serde_json::json!({}),
    };
    let all: Vec<_> = (0..messages).map(|index| (written(index), contact)).collect();
    tx.insert_messages(&all, now).await?;
    Ok(conversation.id)
}
