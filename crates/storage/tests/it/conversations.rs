//! Conversations on both databases: made once, changed, touched by messages, tagged, cut into episodes.

use crate::people_support::*;
use proptest::prelude::*;
use time::Duration;

fn minutes(minutes: i64) -> time::OffsetDateTime {
    NOON + Duration::minutes(minutes)
}

async fn stored(desk: &Desk, id: ConversationId) -> StoredConversation {
    desk.reader().conversation(id).await.unwrap().unwrap()
}

transom_storage::both_databases! {
    async fn a_conversation_is_stored_as_it_is(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (agent, team) = (desk.agent().await, desk.team("Second level").await);
        let (mara, _) = desk.customer("mara").await;
        let fresh = Conversation {
            status: Status::Snoozed { until: minutes(90) },
            assignment: Assignment { agent: Some(agent.id), team: Some(team) },
            episodes: 7,
            ..conversation(mara.identity.id, "thread 2")
        };
        let (contact, account) = (mara.contact, desk.account);
        let made = in_tx!(desk, [fresh], tx => tx.insert_conversation(&fresh, contact, account, minutes(1)).await).unwrap();
        assert!(made);
        let found = stored(&desk, fresh.id).await;
        assert_eq!(found.conversation, fresh);
        assert_eq!((found.contact, found.account, found.version), (mara.contact, desk.account, 1));
        assert_eq!((found.created_at, found.last_message_at, found.waiting_since), (minutes(1), None, None));
        assert_eq!((found.tags.len(), found.preview.as_deref(), &found.window), (0, None, &WindowColumns::default()));

        let (identity, twin) = (mara.identity.id, Conversation { id: id(), ..fresh.clone() });
        let (made, locked, by_id) = in_tx!(desk, [twin], tx => {
            let made = tx.insert_conversation(&twin, contact, account, NOON).await?;
            Ok((made, tx.lock_conversation_of(identity, "thread 2").await?, tx.lock_conversation(twin.id).await?))
        })
        .unwrap();
        assert!(!made, "the thread has its conversation");
        assert_eq!((locked, by_id), (Some(found), None));
        let twin = Conversation { id: id(), ..fresh.clone() };
        let (again, new) = (twin.clone(), Conversation { thread: "thread 4".into(), ..twin });
        let (known, made) = in_tx!(desk, [again, new], tx => {
            let known = tx.lock_or_insert_conversation(&again, contact, account, NOON).await?;
            Ok((known, tx.lock_or_insert_conversation(&new, contact, account, NOON).await?))
        })
        .unwrap();
        assert_eq!((known.conversation, known.version), (fresh, 1));
        assert_eq!(made, stored(&desk, new.id).await);
        let nowhere = in_tx!(desk, [], tx => tx.lock_conversation_of(identity, "thread 3").await).unwrap();
        assert_eq!(nowhere, None);
    }

    async fn changes_raise_the_version(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let agent = desk.agent().await;
        let (_, open) = desk.customer("mara").await;
        let mut changed = open.conversation.clone();
        changed.assign(Assignment { agent: Some(agent.id), team: None }, minutes(1)).unwrap();
        changed.snooze(minutes(60), minutes(1)).unwrap();
        let version = in_tx!(desk, [changed], tx => tx.save_conversation(&changed, minutes(1)).await).unwrap();
        let found = stored(&desk, changed.id).await;
        assert_eq!(version, open.version + 1);
        assert_eq!((&found.conversation, found.version, found.updated_at), (&changed, version, minutes(1)));
        let nobody = Conversation { id: id(), ..changed.clone() };
        let refused = in_tx!(desk, [nobody], tx => tx.save_conversation(&nobody, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
        let stranger: AgentId = id();
        changed.assign(Assignment { agent: Some(stranger), team: None }, minutes(2)).unwrap();
        let refused = in_tx!(desk, [changed], tx => tx.save_conversation(&changed, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn episodes_keep_who_opened_and_closed(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let agent = desk.agent().await;
        let (_, open) = desk.customer("mara").await;
        let mut before = open.conversation.clone();
        before.assign(Assignment { agent: Some(agent.id), team: None }, NOON).unwrap();
        let mut after = before.clone();
        after.close(OnClose::Unassign, minutes(5)).unwrap();
        let by = Actor::from(&agent);
        let end = EpisodeEnd { by: by.clone(), category: Some("refund".into()), note: Some("done".into()) };
        let mut again = after.clone();
        again.opened_by_sender(agent.id, id(), minutes(9)).unwrap();
        let message: MessageId = id();
        let start = EpisodeStart { cause: "outbound".into(), message: Some(message), by: by.clone() };
        in_tx!(desk, [before, after, again, end, start], tx => {
            tx.end_episode(&before, &end, minutes(5)).await?;
            tx.save_conversation(&after, minutes(5)).await?;
            tx.begin_episode(&again, &start, minutes(9)).await?;
            // Once is enough.
            tx.begin_episode(&again, &start, minutes(10)).await?;
            tx.end_episode(&before, &end, minutes(10)).await?;
            tx.save_conversation(&again, minutes(9)).await
        })
        .unwrap();
        let episodes = desk.reader().episodes(open.conversation.id).await.unwrap();
        assert_eq!(episodes, [
            Episode {
                id: open.conversation.episode,
                conversation: open.conversation.id,
                number: 1,
                opened_at: NOON,
                opened_by: Actor::Customer,
                cause: "inbound".into(),
                cause_message: None,
                closed_at: Some(minutes(5)),
                closed_by: Some(by.clone()),
                assignment: before.assignment,
                category: Some("refund".into()),
                note: Some("done".into()),
            },
            Episode {
                id: again.episode,
                conversation: open.conversation.id,
                number: 2,
                opened_at: minutes(9),
                opened_by: by,
                cause: "outbound".into(),
                cause_message: Some(message),
                closed_at: None,
                closed_by: None,
                assignment: Assignment::NONE,
                category: None,
                note: None,
            },
        ]);
    }

    async fn who_wrote_last_and_since_when_somebody_waits(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (_, open) = desk.customer("mara").await;
        let id = open.conversation.id;
        let touch = |minute: i64, direction: Direction, by_person: bool| Touch {
            at: minutes(minute),
            direction,
            by_person,
            preview: format!("at {minute}"),
        };
        use Direction::{Inbound, Internal, Outbound};
        let cases: [(Touch, (Option<i64>, &str)); 10] = [
            (touch(10, Inbound, false), (Some(10), "at 10")),
            (touch(12, Inbound, false), (Some(10), "at 12")),
            (touch(11, Inbound, false), (Some(10), "at 12")),
            (touch(9, Inbound, false), (Some(9), "at 12")),
            (touch(13, Outbound, false), (Some(9), "at 13")),
            (touch(14, Internal, true), (Some(9), "at 14")),
            (touch(15, Outbound, true), (None, "at 15")),
            // Written before the answer, stored after it.
            (touch(14, Inbound, false), (None, "at 15")),
            (touch(16, Inbound, false), (Some(16), "at 16")),
            (touch(16, Inbound, false), (Some(16), "at 16")),
        ];
        for (n, (touch, (waiting, preview))) in cases.into_iter().enumerate() {
            in_tx!(desk, [touch], tx => tx.touch_conversation(id, &touch, NOON).await).unwrap();
            let found = stored(&desk, id).await;
            assert_eq!(found.waiting_since, waiting.map(minutes), "{n}");
            assert_eq!(found.preview.as_deref(), Some(preview), "{n}");
        }
        let found = stored(&desk, id).await;
        assert_eq!((found.last_inbound_at, found.last_outbound_at), (Some(minutes(16)), Some(minutes(15))));
        assert_eq!((found.last_message_at, found.version), (Some(minutes(16)), open.version));
        let mut closed = found.conversation.clone();
        closed.close(OnClose::Unassign, minutes(20)).unwrap();
        in_tx!(desk, [closed], tx => tx.save_conversation(&closed, NOON).await).unwrap();
        assert_eq!(stored(&desk, id).await.waiting_since, None);
        // A bot may serve a closed one: who writes to it waits, and changing it otherwise doesn't change that.
        let again = touch(21, Inbound, false);
        closed.assign(Assignment { agent: Some(desk.agent().await.id), team: None }, minutes(22)).unwrap();
        in_tx!(desk, [again, closed], tx => {
            tx.touch_conversation(id, &again, NOON).await?;
            tx.save_conversation(&closed, NOON).await
        })
        .unwrap();
        assert_eq!(stored(&desk, id).await.waiting_since, Some(minutes(21)));
        let nobody: ConversationId = crate::people_support::id();
        let refused = in_tx!(desk, [again], tx => tx.touch_conversation(nobody, &again, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn windows_are_stamped_on_every_thread(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (mara, open) = desk.customer("mara").await;
        let (ole, _) = desk.customer("ole").await;
        let side = conversation(mara.identity.id, "side");
        let (contact, account, identity) = (mara.contact, desk.account, mara.identity.id);
        let window = WindowColumns {
            closes_at: Some(minutes(24 * 60)),
            free_form_until: Some(minutes(60)),
            policy_version: "alpha@3".into(),
            recompute_at: Some(minutes(60)),
            ends_at: Some(minutes(60)),
        };
        in_tx!(desk, [side, window], tx => {
            tx.insert_conversation(&side, contact, account, NOON).await?;
            tx.save_window(identity, &window, NOON).await
        })
        .unwrap();
        for id in [open.conversation.id, side.id] {
            assert_eq!(stored(&desk, id).await.window, window);
        }
        let due = |minute| { let reader = desk.reader(); async move { reader.windows_to_recompute(minutes(minute), 10).await.unwrap() } };
        assert_eq!(due(59).await, []);
        assert_eq!(due(60).await, [identity]);
        let later = WindowColumns { recompute_at: None, ..window };
        let (facts, other) = (transom_windows::Person { wrote_before: true, ..Default::default() }, ole.identity.id);
        let sooner = WindowColumns { recompute_at: Some(minutes(3)), ..later.clone() };
        in_tx!(desk, [later, sooner, facts], tx => {
            tx.save_person(identity, &facts, &later, NOON).await?;
            tx.save_person(other, &facts, &sooner, NOON).await
        })
        .unwrap();
        assert_eq!(due(60).await, [other]);
        assert_eq!(stored(&desk, side.id).await.window, later);
        assert!(desk.reader().person_facts(identity).await.unwrap().wrote_before);
    }

    async fn snoozes_that_are_over_are_found(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let mut expected = Vec::new();
        for (user, until) in [("a", 30), ("b", 10), ("c", 50)] {
            let (_, open) = desk.customer(user).await;
            let mut snoozed = open.conversation;
            snoozed.snooze(minutes(until), NOON).unwrap();
            in_tx!(desk, [snoozed], tx => tx.save_conversation(&snoozed, NOON).await).unwrap();
            expected.push(snoozed);
        }
        assert_eq!(desk.reader().snoozed_due(minutes(9), 10).await.unwrap(), []);
        assert_eq!(desk.reader().snoozed_due(minutes(30), 10).await.unwrap(), [expected[1].id, expected[0].id]);
        assert_eq!(desk.reader().snoozed_due(minutes(90), 1).await.unwrap(), [expected[1].id]);
        let woken = &mut expected[1];
        woken.wake(minutes(10)).unwrap();
        in_tx!(desk, [woken], tx => tx.save_conversation(&woken, NOON).await).unwrap();
        assert_eq!(desk.reader().snoozed_due(minutes(30), 10).await.unwrap(), [expected[0].id]);
    }

    async fn another_active_conversation_is_of_any_account(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (mara, open) = desk.customer("mara").await;
        let other = |except| { let (reader, contact) = (desk.reader(), mara.contact); async move { reader.other_active_conversation(contact, except).await.unwrap() } };
        assert_eq!(other(open.conversation.id).await, None);
        let elsewhere = PersonSeed {
            account: desk.other_account,
            contact: mara.contact,
            ..desk.seed(&[("email", "mara@example.org")])
        };
        let met = desk.meet(&elsewhere).await;
        let mut second = desk.open_conversation(&met).await.conversation;
        assert_eq!(other(open.conversation.id).await, Some(second.id));
        assert_eq!(other(second.id).await, Some(open.conversation.id));
        second.close(OnClose::Keep, NOON).unwrap();
        in_tx!(desk, [second], tx => tx.save_conversation(&second, NOON).await).unwrap();
        assert_eq!(other(open.conversation.id).await, None);
    }

    async fn tags_are_the_workspaces_own(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (_, open) = desk.customer("mara").await;
        let id = open.conversation.id;
        for (name, new) in [("refund", true), ("billing", true), ("refund", false)] {
            assert_eq!(in_tx!(desk, [], tx => tx.create_tag(name, NOON).await).unwrap(), new);
        }
        assert_eq!(desk.reader().known_tags().await.unwrap(), ["billing", "refund"]);
        let tags = vec!["refund".to_owned(), "billing".to_owned(), "refund".to_owned()];
        in_tx!(desk, [tags], tx => tx.add_tags(id, &tags, minutes(1)).await).unwrap();
        let found = stored(&desk, id).await;
        assert_eq!((found.tags.join(" ").as_str(), found.version), ("billing refund", open.version + 1));
        in_tx!(desk, [tags], tx => tx.add_tags(id, &tags, minutes(2)).await).unwrap();
        assert_eq!(stored(&desk, id).await.version, found.version, "nothing changed");
        assert!(in_tx!(desk, [], tx => tx.remove_tag(id, "refund", minutes(3)).await).unwrap());
        assert!(!in_tx!(desk, [], tx => tx.remove_tag(id, "refund", minutes(3)).await).unwrap());
        assert_eq!(stored(&desk, id).await.tags, ["billing"]);
        let unknown = vec!["nonsense".to_owned()];
        let refused = in_tx!(desk, [unknown], tx => tx.add_tags(id, &unknown, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn fifty_who_open_the_same_thread_make_one(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let met = desk.meet(&desk.seed(&[("user_id", "mara")])).await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (desk, fresh, met) = (desk.clone(), conversation(met.identity.id, ""), met.clone());
            tasks.spawn(async move {
                in_tx!(desk, [fresh, met], tx => {
                    tx.insert_conversation(&fresh, met.contact, met.identity.account, NOON).await
                })
                .unwrap()
            });
        }
        let made = tasks.join_all().await.into_iter().filter(|made| *made).count();
        assert_eq!(made, 1);
    }

    async fn messages_in_any_order_end_alike(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let events = proptest::collection::vec((0..20_i64, any::<bool>()), 1..8);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for n in 0..12 {
            let mut events = proptest::strategy::ValueTree::current(&events.new_tree(&mut runner).unwrap());
            let mut ends = Vec::new();
            for turn in 0..2 {
                let (_, open) = desk.customer(&format!("u{n}-{turn}")).await;
                for (minute, inbound) in &events {
                    let direction = if *inbound { Direction::Inbound } else { Direction::Outbound };
                    let touch = Touch { at: minutes(*minute), direction, by_person: false, preview: format!("{minute}{inbound}") };
                    let id = open.conversation.id;
                    in_tx!(desk, [touch], tx => tx.touch_conversation(id, &touch, NOON).await).unwrap();
                }
                let end = stored(&desk, open.conversation.id).await;
                ends.push((end.last_message_at, end.last_inbound_at, end.last_outbound_at, end.waiting_since));
                events.reverse();
                events.push(events[0]);
            }
            assert_eq!(ends[0], ends[1], "{events:?}");
        }
    }
}
