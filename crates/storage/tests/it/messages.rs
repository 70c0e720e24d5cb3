//! Messages on both databases: stored with their parts, found, edited, taken back, reacted to.

use crate::people_support::*;
use serde_json::json;
use time::Duration;
use transom_windows::Person;

fn minutes(minutes: i64) -> time::OffsetDateTime {
    NOON + Duration::minutes(minutes)
}

fn part(index: u32, text: &str) -> Part {
    Part { id: id(), index, content: Content::text(text), cost: 1, state: DeliveryState::Queued, provider_id: None }
}

async fn insert(desk: &Desk, message: &NewMessage) {
    in_tx!(desk, [message], tx => tx.insert_message(&message, minutes(1)).await).unwrap();
}

async fn stored(desk: &Desk, id: MessageId) -> StoredMessage {
    desk.reader().message(id).await.unwrap().unwrap()
}

transom_storage::both_databases! {
    async fn a_message_comes_back_as_it_was(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (_, open) = desk.customer("mara").await;
        let bot = Agent { role: Role::Bot, ..desk.agent().await };
        let authors = [
            Author::Actor(Actor::Customer),
            Author::Actor(Actor::from(&bot)),
            Author::Actor(Actor::Automation { name: "survey".into() }),
            Author::Actor(Actor::Platform),
            Author::Echo,
            Author::ThirdParty { address: "boss@example.org".into() },
        ];
        for (n, author) in (0_i64..).zip(authors) {
            let mut new = inbound(&open, &format!("text {n} \u{1f600} {{{{x}}}}"), minutes(n));
            new.message.author = author;
            new.payload = Some("BUTTON".into());
            new.reply_to = Some(id());
            new.extra = json!({ "activity": { "deep": [1, null, "x"] } });
            insert(&desk, &new).await;
            let found = stored(&desk, new.message.id).await;
            assert_eq!(found, StoredMessage {
                message: new.message,
                account: new.account,
                identity: new.identity,
                provider_id: new.provider_id,
                reply_to: new.reply_to,
                payload: new.payload,
                permit: None,
                parts: Vec::new(),
                failure: None,
                edited_at: None,
                unsent_at: None,
                reactions: Vec::new(),
                extra: new.extra,
                stored_at: minutes(1),
            });
        }
    }

    async fn an_outgoing_message_has_parts_in_order(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let agent = desk.agent().await;
        let (_, open) = desk.customer("mara").await;
        let reply = outbound(&open, &agent, "two files", NOON);
        let parts: Vec<Part> = (0..3).map(|n| part(n, &format!("part {n}"))).collect();
        let shuffled = vec![parts[2].clone(), parts[0].clone(), parts[1].clone()];
        in_tx!(desk, [reply, shuffled], tx => {
            tx.insert_message(&reply, NOON).await?;
            tx.insert_parts(reply.message.id, &shuffled).await
        })
        .unwrap();
        let found = stored(&desk, reply.message.id).await;
        assert_eq!(found.parts.iter().map(|stored| stored.part.clone()).collect::<Vec<_>>(), parts);
        assert!(found.parts.iter().all(|stored| stored.attempts == 0 && stored.sent_at.is_none()));
        let nobody: MessageId = id();
        let refused = in_tx!(desk, [shuffled], tx => tx.insert_parts(nobody, &shuffled).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn a_conversation_is_read_backwards_page_by_page(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (_, open) = desk.customer("mara").await;
        let (_, other) = desk.customer("ole").await;
        let mut expected = Vec::new();
        for n in 0..23 {
            // Several of one instant, and not in the order of their times.
            let message = inbound(&open, &n.to_string(), minutes((n * 7) % 10));
            expected.push((message.message.at, message.message.id));
            insert(&desk, &message).await;
            insert(&desk, &inbound(&other, &n.to_string(), minutes(n))).await;
        }
        expected.sort_unstable();
        expected.reverse();
        let (mut before, mut seen) = (None, Vec::new());
        loop {
            let page = desk.reader().messages(open.conversation.id, before, 5).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some((last.message.at, last.message.id));
            seen.extend(page.iter().map(|stored| (stored.message.at, stored.message.id)));
        }
        assert_eq!(seen, expected);
    }

    async fn the_platforms_ids_find_messages_and_parts_of_their_account(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let agent = desk.agent().await;
        let (_, open) = desk.customer("mara").await;
        let written = NewMessage { provider_id: Some("in.1".into()), ..inbound(&open, "hello", NOON) };
        let reply = outbound(&open, &agent, "hi", NOON);
        let sent = Part { provider_id: Some("out.1".into()), state: DeliveryState::Sent, ..part(0, "hi") };
        let parts = vec![sent.clone()];
        insert(&desk, &written).await;
        in_tx!(desk, [reply, parts], tx => {
            tx.insert_message(&reply, NOON).await?;
            tx.insert_parts(reply.message.id, &parts).await
        })
        .unwrap();
        let reader = desk.reader();
        let find = async |account, id| reader.message_by_provider_id(account, id).await.unwrap();
        assert_eq!(find(desk.account, "in.1").await, Some((written.message.id, None)));
        assert_eq!(find(desk.account, "out.1").await, Some((reply.message.id, Some(sent.id))));
        assert_eq!(find(desk.other_account, "out.1").await, None);
        assert_eq!(find(desk.account, "in.2").await, None);
        let twice = NewMessage { provider_id: Some("in.1".into()), ..inbound(&open, "again", NOON) };
        let refused = in_tx!(desk, [twice], tx => tx.insert_message(&twice, NOON).await);
        assert!(matches!(refused, Err(StorageError::Duplicate(_))), "{refused:?}");
    }

    async fn a_message_without_conversation_is_refused(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (_, open) = desk.customer("mara").await;
        let mut lost = inbound(&open, "hello", NOON);
        lost.message.conversation = id();
        let (touch, window, facts) = (touch(&lost, false), WindowColumns::default(), Person::default());
        for _ in 0..1 {
            let refused = [
                in_tx!(desk, [lost], tx => tx.insert_message(&lost, NOON).await),
                in_tx!(desk, [lost, touch], tx => tx.file_message(&lost, &touch, NOON).await),
                in_tx!(desk, [lost, touch, window, facts], tx => tx.file_inbound(&lost, &touch, &facts, &window, NOON).await),
            ];
            assert!(refused.iter().all(|refused| matches!(refused, Err(StorageError::MissingReference(_)))), "{refused:?}");
        }
        assert_eq!(desk.reader().message(lost.message.id).await.unwrap(), None);
        let mut stranger = inbound(&open, "hello", NOON);
        stranger.identity = id();
        let refused =
            in_tx!(desk, [stranger, touch, window, facts], tx => tx.file_inbound(&stranger, &touch, &facts, &window, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn filed_at_once_is_the_same_as_one_by_one(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let mut ends = Vec::new();
        for user in ["one by one", "together", "at once"] {
            let (met, open) = desk.customer(user).await;
            let side = conversation(met.identity.id, "side");
            let (contact, account, identity) = (met.contact, desk.account, met.identity.id);
            in_tx!(desk, [side], tx => tx.insert_conversation(&side, contact, account, NOON).await).unwrap();
            let message = inbound(&open, "hello", minutes(3));
            let touch = touch(&message, false);
            let facts = Person { wrote_before: true, newest_at: Some(minutes(3)), ..Person::default() };
            let window = WindowColumns {
                closes_at: Some(minutes(99)),
                free_form_until: None,
                policy_version: "alpha@1".into(),
                recompute_at: Some(minutes(99)),
                ends_at: Some(minutes(99)),
            };
            in_tx!(desk, [message, touch, facts, window], tx => match user {
                "one by one" => {
                    tx.insert_message(&message, minutes(4)).await?;
                    tx.touch_conversation(message.message.conversation, &touch, minutes(4)).await?;
                    tx.save_person_facts(identity, &facts, minutes(4)).await?;
                    tx.save_window(identity, &window, minutes(4)).await
                }
                "together" => {
                    tx.file_message(&message, &touch, minutes(4)).await?;
                    tx.save_person(identity, &facts, &window, minutes(4)).await
                }
                _ => tx.file_inbound(&message, &touch, &facts, &window, minutes(4)).await,
            })
            .unwrap();
            let reader = desk.reader();
            let main = reader.conversation(open.conversation.id).await.unwrap().unwrap();
            let side = reader.conversation(side.id).await.unwrap().unwrap();
            let filed = reader.messages(open.conversation.id, None, 9).await.unwrap();
            assert_eq!((filed.len(), filed[0].stored_at), (1, minutes(4)));
            assert_eq!(main.waiting_since, Some(minutes(3)));
            assert_eq!((&main.window, &side.window), (&window, &window));
            assert_eq!((side.last_message_at, side.waiting_since), (None, None));
            let facts = reader.person_facts(identity).await.unwrap();
            ends.push((main.window, main.last_message_at, main.last_inbound_at, main.preview, main.updated_at, facts));
        }
        assert_eq!(ends[0], ends[1]);
        assert_eq!(ends[0], ends[2]);
    }

    async fn the_newest_edit_wins(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (_, open) = desk.customer("mara").await;
        let message = inbound(&open, "helo", NOON);
        insert(&desk, &message).await;
        let id = message.message.id;
        let edits = [("hello", 5, true), ("hell", 3, false), ("hello", 5, false), ("hello!", 6, true)];
        for (text, minute, stores) in edits {
            let content = Content::text(text);
            let edited = in_tx!(desk, [content], tx => tx.edit_message(id, &content, minutes(minute)).await).unwrap();
            assert_eq!(edited, stores, "{text} at {minute}");
        }
        let found = stored(&desk, id).await;
        assert_eq!((found.message.content, found.edited_at), (Content::text("hello!"), Some(minutes(6))));
    }

    async fn what_is_taken_back_is_deleted(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (_, open) = desk.customer("mara").await;
        let message = inbound(&open, "my password is 1234", minutes(2));
        let touch = touch(&message, false);
        in_tx!(desk, [message, touch], tx => tx.file_message(&message, &touch, NOON).await).unwrap();
        let id = message.message.id;
        assert!(in_tx!(desk, [], tx => tx.unsend_message(id, minutes(5)).await).unwrap());
        assert!(!in_tx!(desk, [], tx => tx.unsend_message(id, minutes(6)).await).unwrap());
        // An edit that comes late brings nothing back.
        let content = Content::text("my password is 12345");
        assert!(!in_tx!(desk, [content], tx => tx.edit_message(id, &content, minutes(7)).await).unwrap());
        let found = stored(&desk, id).await;
        assert_eq!((found.unsent_at, found.message.content.preview()), (Some(minutes(5)), "unsent".to_owned()));
        let conversation = desk.reader().conversation(open.conversation.id).await.unwrap().unwrap();
        assert_eq!((conversation.preview, conversation.last_message_at), (None, Some(minutes(2))));
    }

    async fn everybody_has_one_reaction_a_message(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let agent = desk.agent().await;
        let (_, open) = desk.customer("mara").await;
        let message = inbound(&open, "hello", NOON);
        insert(&desk, &message).await;
        let (id, customer, agent) = (message.message.id, Author::Actor(Actor::Customer), Author::Actor(Actor::from(&agent)));
        let reactions = [
            (&customer, Some("👍"), 2, true),
            (&agent, Some("🎉"), 4, true),
            (&customer, Some("❤️"), 3, true),
            (&customer, Some("😀"), 1, false),
            (&customer, None, 3, false),
            (&agent, None, 5, true),
        ];
        for (by, emoji, minute, stores) in reactions {
            let by = by.clone();
            let done = in_tx!(desk, [by], tx => tx.set_reaction(id, &by, emoji, minutes(minute)).await).unwrap();
            assert_eq!(done, stores, "{emoji:?} at {minute}");
        }
        let reactions = stored(&desk, id).await.reactions;
        assert_eq!(reactions, [StoredReaction { by: customer.clone(), emoji: "❤️".into(), at: minutes(3) }]);
        let nobody: MessageId = crate::people_support::id();
        let refused = in_tx!(desk, [customer], tx => tx.set_reaction(nobody, &customer, Some("👍"), NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn the_last_word_of_a_person_is_known(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let agent = desk.agent().await;
        let bot = Agent { id: agent.id, role: Role::Bot, ..agent.clone() };
        let (_, open) = desk.customer("mara").await;
        let last = async || desk.reader().last_outbound_by_person(open.conversation.id).await.unwrap();
        insert(&desk, &inbound(&open, "hello", minutes(1))).await;
        assert_eq!(last().await, None);
        let first = outbound(&open, &agent, "hi", minutes(2));
        let of_bot = outbound(&open, &bot, "I am a bot", minutes(3));
        let mut note = outbound(&open, &agent, "careful", minutes(4));
        (note.message.kind, note.message.direction, note.message.state) = (MessageKind::Note, Direction::Internal, None);
        let mut failed = outbound(&open, &agent, "never arrived", minutes(5));
        failed.message.state = Some(DeliveryState::NotSent);
        for message in [&first, &of_bot, &note, &failed] {
            insert(&desk, message).await;
        }
        assert_eq!(last().await, Some((first.message.id, agent.id, minutes(2))));
        let second = outbound(&open, &agent, "again", minutes(6));
        insert(&desk, &second).await;
        assert_eq!(last().await, Some((second.message.id, agent.id, minutes(6))));
    }

    async fn another_workspaces_messages_are_not_there(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (_, open) = desk.customer("mara").await;
        let message = inbound(&open, "hello", NOON);
        insert(&desk, &message).await;
        let scope = db.workspace(&desk.storage, "Other").await;
        let other = Desk::of(desk.storage.clone(), scope).await;
        let id = message.message.id;
        let provider_id = message.provider_id.clone().unwrap();
        assert_eq!(other.reader().message(id).await.unwrap(), None);
        assert_eq!(other.reader().messages(open.conversation.id, None, 9).await.unwrap(), []);
        assert_eq!(other.reader().message_by_provider_id(desk.account, &provider_id).await.unwrap(), None);
        assert_eq!(other.reader().last_outbound_by_person(open.conversation.id).await.unwrap(), None);
        assert_eq!(other.reader().episodes(open.conversation.id).await.unwrap(), []);
        let content = Content::text("x");
        assert!(!in_tx!(other, [content], tx => tx.edit_message(id, &content, minutes(9)).await).unwrap());
        assert!(!in_tx!(other, [], tx => tx.unsend_message(id, minutes(9)).await).unwrap());
        let refused = in_tx!(other, [message], tx => tx.insert_message(&message, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
        assert_eq!(stored(&desk, id).await.message, message.message);
    }
}
