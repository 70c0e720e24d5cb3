//! Inbound, step by step: calls are journalled, then applied when the test says so; on both databases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;
use transom_desk::channels::{self, NewChannel};
use transom_desk::receive::{self, Applied};
use transom_desk::{Caller, workspaces};
use transom_domain::{ChannelAccount, Clock as _, Content, Ids as _, JournalId, SettableClock, UuidV7};
use transom_server::{Server, ServerConfig};
use transom_storage::test_support::{NOON, TestDatabase};
use transom_storage::{
    CallSource, ConversationQuery, NewCall, QuarantineQuery, Reader, StoredConversation, StoredMessage, both_databases,
};

const BOT: &str = "5550001";
const OWNER: &str = "bc-77";

/// A service that applies only when it is told to, with a bot and an owner that the bot writes for.
struct Desk {
    server: Server,
    caller: Caller,
    bot: ChannelAccount,
    clock: SettableClock,
    _folder: TempDir,
}

impl Desk {
    async fn open(db: &TestDatabase) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::in_folder(folder.path()).on_loopback(0);
        config.database_url = Some(db.url().to_owned());
        let clock = SettableClock::frozen(NOON);
        let server = Server::start_without_background(config, Arc::new(clock.clone())).await.unwrap();
        let (caller, _) = workspaces::create(server.desk(), "Acme", "Ada").await.unwrap();
        let new = NewChannel {
            platform: "telegram".into(),
            name: "Acme".into(),
            settings: settings(&[
                ("bot_token", "5550001:secret"),
                ("webhook_secret", "only-we-know"),
                ("account_id", BOT),
            ]),
            ..NewChannel::default()
        };
        let bot = channels::connect(server.desk(), &caller, new.clone(), None).await.unwrap().account;
        let owner =
            NewChannel { connection: Some(bot.connection), settings: settings(&[("account_id", OWNER)]), ..new };
        channels::connect(server.desk(), &caller, owner, None).await.unwrap();
        Self { server, caller, bot, clock, _folder: folder }
    }

    fn reader(&self) -> Reader {
        self.server.desk().storage().reader(&self.caller.scope)
    }

    /// Puts updates into the journal, a call each.
    async fn journal(&self, updates: &[Value]) {
        for update in updates {
            let call = NewCall {
                id: JournalId::new(&UuidV7),
                connection: self.bot.connection,
                account: None,
                source: CallSource::Webhook,
                headers: Vec::new(),
                body: update.to_string().into_bytes().into(),
                received_at: self.clock.now(),
            };
            self.server.desk().storage().append_call(&self.caller.scope, &call).await.unwrap();
        }
    }

    async fn apply(&self) -> Applied {
        receive::apply_waiting(self.server.desk()).await.unwrap()
    }

    async fn conversations(&self) -> Vec<StoredConversation> {
        let query = ConversationQuery { limit: 100, ..ConversationQuery::new(self.clock.now()) };
        self.reader().conversations(&query).await.unwrap()
    }

    /// The message that the platform knows by this id.
    async fn message(&self, provider_id: &str) -> Option<StoredMessage> {
        for account in self.reader().accounts().await.unwrap() {
            if let Some((id, _)) = self.reader().message_by_provider_id(account.id, provider_id).await.unwrap() {
                return self.reader().message(id).await.unwrap();
            }
        }
        None
    }

    /// Everything that customers did, without ids of ours.
    async fn story(&self) -> Value {
        let reader = self.reader();
        let mut story = BTreeMap::new();
        for stored in self.conversations().await {
            let identity = reader.identity(stored.conversation.identity).await.unwrap().unwrap();
            let contact = reader.contact(stored.contact).await.unwrap().unwrap();
            let mut messages: Vec<_> = reader.messages(stored.conversation.id, None, 100).await.unwrap();
            messages.sort_by_key(|message| (message.provider_id.clone(), message.message.content.preview()));
            let said = |message: &StoredMessage| {
                json!({
                    "provider_id": message.provider_id, "content": message.message.content, "kind": message.message.kind,
                    "author": message.message.author, "at": message.message.at.to_string(),
                    "edited": message.edited_at.map(|at| at.to_string()), "unsent": message.unsent_at.is_some(),
                    "quotes": message.reply_to.is_some(),
                    "reactions": message.reactions.iter().map(|one| one.emoji.clone()).collect::<Vec<_>>(),
                })
            };
            let episodes = reader.episodes(stored.conversation.id).await.unwrap();
            let StoredConversation { last_message_at, last_inbound_at, last_outbound_at, waiting_since, .. } = stored;
            let times = [last_message_at, last_inbound_at, last_outbound_at, waiting_since];
            let told = json!({
                "profile": contact.contact.profile,
                "status": stored.conversation.status, "episodes": stored.conversation.episodes,
                "window": format!("{:?}", stored.window), "preview": stored.preview,
                "times": times.map(|at| at.map(|at| at.to_string())),
                "facts": reader.person_facts(identity.id).await.unwrap(),
                "messages": messages.iter().map(said).collect::<Vec<_>>(),
                "causes": episodes.iter().map(|episode| episode.cause.clone()).collect::<Vec<_>>(),
            });
            story.insert(format!("{:?} {:?}", identity.addresses, identity.account == self.bot.id), told);
        }
        json!(story)
    }

    /// Kinds of events, with how many there are of each.
    async fn events(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for numbered in self.reader().events_after(0, 1_000).await.unwrap() {
            *kinds.entry(numbered.event.kind).or_default() += 1;
        }
        kinds
    }
}

fn settings(of: &[(&str, &str)]) -> BTreeMap<String, SecretString> {
    of.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect()
}

fn seconds(after: i64) -> i64 {
    NOON.unix_timestamp() - 3_600 + after
}

fn update(kind: &str, value: Value) -> Value {
    json!({ "update_id": u32::try_from(UuidV7.next().as_u128() % 4_000_000_000).unwrap(), kind: value })
}

fn person(user: u64) -> Value {
    json!({ "id": user, "is_bot": false, "first_name": format!("Customer {user}") })
}

fn chat(user: u64) -> Value {
    json!({ "id": user, "type": "private", "first_name": format!("Customer {user}") })
}

fn wrote(user: u64, message: u64, at: i64, text: &str) -> Value {
    json!({ "message_id": message, "date": seconds(at), "from": person(user), "chat": chat(user), "text": text })
}

fn message(user: u64, id: u64, at: i64, text: &str) -> Value {
    update("message", wrote(user, id, at, text))
}

fn edited(user: u64, id: u64, at: i64, text: &str) -> Value {
    let mut edited = wrote(user, id, 0, text);
    edited["edit_date"] = json!(seconds(at));
    update("edited_message", edited)
}

fn reaction(user: u64, to: u64, at: i64, emoji: &str) -> Value {
    let emoji = json!([{ "type": "emoji", "emoji": emoji }]);
    let fields = json!({
        "chat": chat(user), "user": person(user), "message_id": to, "date": seconds(at), "old_reaction": [],
        "new_reaction": emoji,
    });
    update("message_reaction", fields)
}

fn of_owner(mut message: Value) -> Value {
    message["business_connection_id"] = json!(OWNER);
    message
}

/// The events, once so many have their numbers.
async fn numbered(desk: &Desk, at_least: usize) -> BTreeMap<String, usize> {
    for _ in 0..2_000 {
        let events = desk.events().await;
        if events.values().sum::<usize>() >= at_least {
            return events;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("only {:?} of {at_least} events were numbered", desk.events().await);
}

both_databases! {
    /// P7: what a customer does to a message may be heard before the message.
    async fn changes_that_come_first_wait_for_their_message(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let deleted = json!({ "business_connection_id": OWNER, "chat": chat(700), "message_ids": [51, 52] });
        let early = [
            edited(700, 41, 50, "now this"),
            edited(700, 41, 40, "not this"),
            reaction(700, 42, 60, "👍"),
            update("deleted_business_messages", deleted),
        ];
        desk.journal(&early).await;
        desk.journal(&early).await;
        let applied = desk.apply().await;
        assert_eq!((applied.calls, applied.items, applied.quarantined), (8, 5, 0), "each counts once");
        assert!(desk.message("700:41").await.is_none());

        let late = [
            message(700, 41, 10, "this"),
            message(700, 42, 20, "liked"),
            update("business_message", of_owner(wrote(700, 51, 30, "oops"))),
        ];
        desk.journal(&late).await;
        assert_eq!(desk.apply().await.items, 3);
        let first = desk.message("700:41").await.unwrap();
        assert_eq!(first.message.content, Content::text("now this"));
        assert_eq!(first.edited_at.unwrap().unix_timestamp(), seconds(50));
        let liked = desk.message("700:42").await.unwrap();
        assert_eq!(liked.reactions.iter().map(|one| one.emoji.as_str()).collect::<Vec<_>>(), ["👍"]);
        assert_eq!(liked.message.content, Content::text("liked"));
        let gone = desk.message("700:51").await.unwrap();
        assert!(gone.unsent_at.is_some() && !gone.message.content.preview().contains("oops"), "{gone:?}");
        assert!(desk.message("700:52").await.is_none());

        // Nothing is applied twice, and what still waits goes on waiting.
        assert_eq!(desk.apply().await, Applied::default());
        desk.journal(&[update("business_message", of_owner(wrote(700, 52, 30, "oops again")))]).await;
        desk.apply().await;
        assert!(desk.message("700:52").await.unwrap().unsent_at.is_some());
        desk.server.stop().await;
    }
}

both_databases! {
    /// A change and its message in two transactions that did not see each other: the next look joins them.
    async fn a_change_that_was_missed_is_found_later(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        desk.journal(&[message(700, 41, 10, "this")]).await;
        desk.apply().await;
        let parked = transom_storage::ParkedChange {
            account: desk.bot.id,
            reference: "700:41".into(),
            event_key: "edit".into(),
            change: transom_storage::MessageChange::Edited(Box::new(Content::text("now this"))),
            at: OffsetDateTime::from_unix_timestamp(seconds(50)).unwrap(),
        };
        let other = transom_storage::ParkedChange { reference: "700:99".into(), ..parked.clone() };
        let kept: Result<(), transom_storage::StorageError> = desk
            .server
            .desk()
            .storage()
            .transact(&desk.caller.scope, move |tx| {
                let both = [parked.clone(), other.clone()];
                Box::pin(async move {
                    for change in &both {
                        tx.park_change(change, NOON).await?;
                    }
                    Ok(())
                })
            })
            .await;
        kept.unwrap();
        assert_eq!(desk.apply().await.items, 1);
        assert_eq!(desk.message("700:41").await.unwrap().message.content, Content::text("now this"));
        assert_eq!(desk.apply().await, Applied::default());
        let purged: Result<u64, transom_storage::StorageError> = desk
            .server
            .desk()
            .storage()
            .transact(&desk.caller.scope, |tx| {
                Box::pin(async move { tx.purge_parked_changes(NOON + time::Duration::SECOND, 10).await })
            })
            .await;
        assert_eq!(purged.unwrap(), 1, "only the one without a message was left");
        desk.server.stop().await;
    }
}

both_databases! {
    /// an item that the database refuses goes to quarantine; its neighbours in the batch are applied.
    async fn an_item_that_fails_takes_no_neighbour_with_it(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        // A tap whose id is that of a message: another event, and the same name.
        let tap = json!({ "id": "700:41", "from": person(700), "chat_instance": "1", "data": "yes",
            "message": { "message_id": 40, "date": seconds(1), "chat": chat(700), "from": person(1), "text": "?" } });
        let updates = [
            message(700, 41, 10, "before"),
            update("callback_query", tap),
            message(700, 42, 20, "after"),
            message(701, 43, 20, "somebody else"),
        ];
        desk.journal(&updates).await;
        desk.journal(&[json!("no update")]).await;
        let applied = desk.apply().await;
        assert_eq!((applied.calls, applied.items, applied.quarantined), (5, 3, 2));
        for id in ["700:41", "700:42", "701:43"] {
            assert!(desk.message(id).await.is_some(), "{id}");
        }
        let kept = desk.reader().quarantine_page(&QuarantineQuery::default(), None, 10).await.unwrap();
        let reasons: BTreeSet<&str> = kept.iter().map(|kept| kept.entry.reason.as_str()).collect();
        assert_eq!(reasons, BTreeSet::from(["fault", "unreadable"]));
        assert_eq!(desk.apply().await, Applied::default(), "nothing waits any more");
        desk.server.stop().await;
    }
}

both_databases! {
    /// What is applied together ends as what is applied call by call, whatever the order within a person's messages.
    async fn together_is_the_same_as_one_by_one(db: TestDatabase) {
        let mut updates = Vec::new();
        for n in 0..60_u64 {
            let (user, at) = (700 + n % 7, i64::try_from(n * 37 % 600).unwrap());
            updates.push(message(user, 100 + n, at, &format!("message {n}")));
            match n % 10 {
                3 => updates.push(edited(user, 100 + n, at + 5, &format!("edited {n}"))),
                4 => updates.push(reaction(user, 101 + n, at + 5, "🎉")),
                5 => updates.push(update("business_message", of_owner(wrote(user, 300 + n, at, "to the owner")))),
                6 => {
                    let member = json!({ "chat": chat(user), "from": person(user), "date": seconds(at),
                        "old_chat_member": { "status": "member", "user": person(1) },
                        "new_chat_member": { "status": "kicked", "user": person(1) } });
                    updates.push(update("my_chat_member", member));
                }
                7 => {
                    let mut quoting = wrote(user, 400 + n, at + 1, "as I said");
                    quoting["reply_to_message"] = wrote(user, 100 + n, at, "");
                    updates.push(update("message", quoting));
                }
                _ => {}
            }
        }
        let together = Desk::open(&db).await;
        together.journal(&updates).await;
        let all = together.apply().await;
        assert_eq!((all.calls as usize, all.quarantined), (updates.len(), 0));

        let other = if db.is_postgres() { TestDatabase::postgres().await.unwrap() } else { TestDatabase::sqlite() };
        let single = Desk::open(&other).await;
        for update in &updates {
            single.journal(std::slice::from_ref(update)).await;
            assert_eq!(single.apply().await.items, 1);
        }
        assert_eq!(together.story().await, single.story().await);
        let count = numbered(&together, updates.len()).await.values().sum();
        assert_eq!(numbered(&together, count).await, numbered(&single, count).await);
        together.server.stop().await;
        single.server.stop().await;
    }
}
