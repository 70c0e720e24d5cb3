//! Messages of ours that came back before their answer, on both databases: one is left, whoever was first.

use crate::sending_support::*;
use DeliveryState::{Delivered, Sent};
use serde_json::json;
use time::Duration;
use transom_storage::both_databases;

/// A message as it stands in a conversation.
fn written(talk: Talk, author: Author, provider_id: &str) -> NewMessage {
    let direction = if author == Author::Echo { Direction::Outbound } else { Direction::Inbound };
    NewMessage {
        message: Message {
            id: id(),
            conversation: talk.conversation,
            kind: MessageKind::Reply,
            direction,
            author,
            content: Content::text("hello"),
            state: None,
            at: NOON + Duration::SECOND,
        },
        account: talk.account,
        identity: talk.identity,
        provider_id: Some(provider_id.to_owned()),
        reply_to: None,
        payload: None,
        permit: None,
        extra: json!({}),
    }
}

/// The echo is filed as the desk files one that it can't tell from what was written elsewhere; `None`: its answer was here.
async fn file_echo(desk: &Desk, talk: Talk, provider_id: &str) -> Option<MessageId> {
    let (echo, account) = (written(talk, Author::Echo, provider_id), talk.account);
    let filed = echo.message.id;
    let provider_id = provider_id.to_owned();
    in_tx!(desk, [echo, provider_id], tx => {
        tx.mark_in_flight(account).await?;
        if tx.message_by_provider_id(account, &provider_id).await?.is_some() {
            return Ok(None);
        }
        tx.insert_message(&echo, NOON).await?;
        Ok(Some(filed))
    })
    .unwrap()
}

async fn join(desk: &Desk, way: &OnItsWay, provider_id: &str) -> Option<JoinedEcho> {
    let (account, message, provider_id) = (way.talk.account, way.message, provider_id.to_owned());
    in_tx!(desk, [provider_id], tx => tx.join_echo(account, message, &provider_id).await).unwrap()
}

both_databases! {
    async fn the_answer_takes_the_echo_in(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let way = desk.sending(talk).await;
        let echo = file_echo(&desk, talk, "p-1").await.unwrap();
        let answer = written(talk, Author::Actor(Actor::Customer), "c-1");
        let answer = NewMessage { reply_to: Some(echo), ..answer };
        let (ours, by) = (way.message, desk.by());
        in_tx!(desk, [answer, by], tx => {
            tx.insert_message(&answer, NOON).await?;
            let (customer, agent) = (Author::Actor(Actor::Customer), Author::Actor(by));
            tx.set_reaction(echo, &customer, Some("👍"), NOON).await?;
            tx.set_reaction(ours, &customer, Some("👎"), NOON).await?;
            tx.set_reaction(ours, &agent, Some("🎉"), NOON).await
        })
        .unwrap();

        let settled = desk.settle(way.part(), 1, sent("p-1"), NOON).await;
        let joined = JoinedEcho { message: echo, conversation: talk.conversation };
        assert_eq!(settled, Settled::Done { message_state: Sent, joined: Vec::new(), echo: Some(joined) });
        assert!(desk.reader().message(echo).await.unwrap().is_none(), "it stands there once");
        let stored = desk.stored(way.message).await;
        let mut reactions: Vec<&str> = stored.reactions.iter().map(|reaction| reaction.emoji.as_str()).collect();
        reactions.sort_unstable();
        assert_eq!(reactions, ["🎉", "👍"], "what came to the echo is the later");
        assert_eq!(desk.stored(answer.message.id).await.reply_to, Some(way.message));
        assert_eq!(join(&desk, &way, "p-1").await, None, "once");
    }

    async fn an_echo_that_was_changed_changes_the_message(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        for (name, unsent) in [("edited", false), ("unsent", true)] {
            let way = desk.unknown(talk).await;
            let echo = file_echo(&desk, talk, name).await.unwrap();
            in_tx!(desk, [], tx => {
                tx.edit_message(echo, &Content::text("better"), NOON).await?;
                if unsent { tx.unsend_message(echo, NOON).await } else { Ok(false) }
            })
            .unwrap();
            desk.receipt_with(name, Some(way.part()), Delivered).await;
            assert_eq!(join(&desk, &way, name).await.map(|joined| joined.message), Some(echo));
            let stored = desk.stored(way.message).await;
            assert_eq!(stored.unsent_at.is_some(), unsent, "{name}");
            assert_eq!(stored.message.content == Content::text("better"), !unsent, "{name}");
        }
    }

    async fn what_others_wrote_stays(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let way = desk.sending(talk).await;
        let elsewhere = file_echo(&desk, talk, "p-2").await.unwrap();
        let settled = desk.settle(way.part(), 1, sent("p-1"), NOON).await;
        assert_eq!(settled, Settled::Done { message_state: Sent, joined: Vec::new(), echo: None });
        assert!(desk.reader().message(elsewhere).await.unwrap().is_some());
    }

    async fn answers_and_echoes_at_the_same_time_miss_each_other_never(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = desk.sending_many(40).await;
        let twin = desk.replica(&db).await;
        let mut both = tokio::task::JoinSet::new();
        for way in &ways {
            let (desk, twin, part, talk) = (desk.clone(), twin.clone(), way.part(), way.talk);
            both.spawn(async move { desk.settle(part, 1, sent(&part.to_string()), NOON).await == Settled::LeaseLost });
            both.spawn(async move { file_echo(&twin, talk, &part.to_string()).await.is_some() });
        }
        while let Some(ended) = both.join_next().await {
            ended.unwrap();
        }
        assert_eq!(usize::try_from(rows(&db, "messages").await), Ok(ways.len()), "each stands there once");
    }
}
