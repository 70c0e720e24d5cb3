//! The outbox on both databases: claims, leases, fences, recovery, people's choices.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use serde_json::json;
use time::Duration;

use crate::sending_support::*;
use transom_storage::{Choice, PartEvidence, StorageError, both_databases};

const fn seconds(count: i64) -> Duration {
    Duration::seconds(count)
}

both_databases! {
    async fn a_part_goes_its_way(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let way = desk.reply(talk).await;
        assert_eq!(desk.storage.scopes_with_due_work(NOON).await.unwrap(), std::slice::from_ref(&desk.scope));

        let claimed = desk.claim(ADA, 10, NOON).await;
        let [claimed] = claimed.as_slice() else { panic!("{claimed:?}") };
        assert_eq!((claimed.part, claimed.message, claimed.attempt), (way.part(), way.message, 1));
        assert_eq!((claimed.conversation, claimed.identity, claimed.account), (talk.conversation, talk.identity, talk.account));
        assert_eq!((claimed.content.clone(), claimed.cost, claimed.thread.as_str()), (Content::text("part 0"), 1, ""));
        assert_eq!((claimed.author.clone(), claimed.priority), (Author::Actor(desk.by()), Priority::Reply));
        assert_eq!((claimed.due_at, claimed.expires_at), (NOON, NOON + Duration::hours(4)));
        assert_eq!((claimed.ask.clone(), claimed.holds_quota), (json!({ "ask": { "tag": null } }), false));
        assert_eq!(desk.state(&way).await, DeliveryState::Queued, "claimed is not sending");
        assert!(desk.claim(BOB, 10, NOON).await.is_empty(), "it is in somebody's hand");

        let started = NOON + seconds(1);
        assert_eq!(desk.begin(way.part(), started).await, Some(1));
        assert_eq!(desk.state(&way).await, DeliveryState::Sending);
        assert_eq!(desk.begin(way.part(), started).await, None, "it has begun already");

        let accepted = Settlement { error: None, ..sent("p-1") };
        let settled = desk.settle(way.part(), 1, accepted, NOON + seconds(2)).await;
        assert_eq!(settled, Settled::Done { message_state: DeliveryState::Sent, joined: Vec::new(), echo: None });
        let stored = desk.stored(way.message).await;
        assert_eq!(stored.message.state, Some(DeliveryState::Sent));
        let part = &stored.parts[0];
        assert_eq!((part.part.provider_id.as_deref(), part.attempts, part.sent_at), (Some("p-1"), 1, Some(started)));

        let attempts = desk.reader().attempts(way.part()).await.unwrap();
        let [attempt] = attempts.as_slice() else { panic!("{attempts:?}") };
        assert_eq!((attempt.number, attempt.owner, attempt.started_at), (1, ADA, started));
        assert_eq!((attempt.ended_at, attempt.duration_ms), (Some(NOON + seconds(2)), Some(7)));
        assert_eq!((attempt.verdict.as_deref(), attempt.phase.as_deref()), (Some("sent"), Some("answered")));
        assert_eq!(rows(&db, "outbox").await, 0, "what is done leaves at once");
        assert_eq!(desk.settle(way.part(), 1, done(Outcome::Failed), NOON).await, Settled::LeaseLost);
        assert_eq!(desk.state(&way).await, DeliveryState::Sent);
    }

    async fn each_part_is_claimed_once(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talks = desk.talks_on(desk.account.id, 200).await;
        let ways = desk.send_many(&talks, 1, Priority::Reply, NOON).await;
        let twin = desk.replica(&db).await;
        let workers = (0..8_u128).map(|worker| {
            let desk = if worker % 2 == 0 { desk.clone() } else { twin.clone() };
            tokio::spawn(async move {
                let (mut bound, mut mine, mut idle) = (ClaimBound::default(), Vec::new(), 0);
                while idle < 3 {
                    let claimed = desk.claim_from(&mut bound, Uuid::from_u128(worker + 1), 7, NOON).await;
                    idle = if claimed.is_empty() { idle + 1 } else { 0 };
                    if claimed.is_empty() {
                        bound.reset();
                    }
                    mine.extend(claimed.into_iter().map(|claimed| claimed.part));
                }
                mine
            })
        });
        let mut all = Vec::new();
        for worker in workers.collect::<Vec<_>>() {
            all.extend(worker.await.unwrap());
        }
        let unique: BTreeSet<PartId> = all.iter().copied().collect();
        assert_eq!((all.len(), unique), (200, ways.iter().map(OnItsWay::part).collect()));
    }

    async fn only_the_head_of_a_conversation_may_leave(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let first = desk.send(talk, 2, Priority::Broadcast, NOON).await;
        let second = desk.reply(talk).await;
        let elsewhere = desk.reply(desk.talk().await).await;
        let mut bound = ClaimBound::default();
        let mut claim = async |now| {
            let claimed = desk.claim_from(&mut bound, ADA, 10, now).await;
            claimed.into_iter().map(|claimed| claimed.part).collect::<Vec<_>>()
        };
        assert_eq!(claim(NOON).await, [elsewhere.part(), first.parts[0]]);

        // Not while it is in hand, not while it is on the wire, not while it waits for another try.
        assert!(claim(NOON + seconds(10)).await.is_empty());
        desk.begin(first.parts[0], NOON).await.unwrap();
        assert!(claim(NOON + seconds(20)).await.is_empty());
        let later = NOON + seconds(60);
        desk.settle(first.parts[0], 1, done(Outcome::Retry { due_at: later }), NOON + seconds(21)).await;
        assert!(claim(NOON + seconds(30)).await.is_empty());
        assert_eq!(claim(later).await, [first.parts[0]], "in its order, and it alone");

        // The same worker, whose bound has passed the others long ago, finds them when their turn has come.
        desk.begin(first.parts[0], later).await.unwrap();
        desk.settle(first.parts[0], 2, sent("a"), later + seconds(1)).await;
        assert_eq!(claim(later + seconds(1)).await, [first.parts[1]]);
        desk.begin(first.parts[1], later + seconds(1)).await.unwrap();
        desk.settle(first.parts[1], 1, done(Outcome::Failed), later + seconds(2)).await;
        assert_eq!(claim(later + seconds(2)).await, [second.part()]);
    }

    async fn an_unknown_outcome_holds_up_a_conversation_for_30_seconds(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let unknown = desk.sending(talk).await;
        let waiting = desk.reply(talk).await;
        let mut bound = ClaimBound::default();
        desk.settle(unknown.part(), 1, done(Outcome::Unknown), NOON).await;
        assert_eq!(desk.state(&unknown).await, DeliveryState::Unknown);
        let parts = desk.reader().unknown_parts(10).await.unwrap();
        assert_eq!(parts.iter().map(|part| (part.part, part.ask_at)).collect::<Vec<_>>(), [(unknown.part(), NOON + seconds(60))]);

        assert!(desk.claim_from(&mut bound, ADA, 10, NOON + seconds(29)).await.is_empty());
        let claimed = desk.claim_from(&mut bound, ADA, 10, NOON + seconds(30)).await;
        assert_eq!(claimed.iter().map(|claimed| claimed.part).collect::<Vec<_>>(), [waiting.part()]);
    }

    async fn evidence_lets_the_next_go_at_once(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let unknown = desk.unknown(talk).await;
        let waiting = desk.reply(talk).await;
        let mut bound = ClaimBound::default();
        assert!(desk.claim_from(&mut bound, ADA, 10, NOON + seconds(10)).await.is_empty());
        desk.receipt_with("p-1", Some(unknown.part()), DeliveryState::Sent).await;
        assert_eq!(desk.claim_parts(NOON + seconds(10)).await, [waiting.part()]);
    }

    async fn replies_go_first_and_accounts_take_turns(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let other = an_account(desk.account.connection, "beta");
        desk.add_account(&other).await;
        let many = desk.talks_on(desk.account.id, 6).await;
        desk.send_many(&many[..3], 1, Priority::Broadcast, NOON - seconds(100)).await;
        let replies = desk.send_many(&many[3..], 1, Priority::Reply, NOON).await;
        let theirs = desk.send(desk.talk_on(other.id).await, 1, Priority::Reply, NOON).await;
        let rule = desk.send(desk.talk().await, 1, Priority::Automation, NOON).await;
        let parts: Vec<PartId> = desk.claim(ADA, 5, NOON).await.into_iter().map(|claimed| claimed.part).collect();
        let accounts_in_turn = parts[..2].contains(&theirs.part());
        assert!(accounts_in_turn, "{parts:?}");
        assert_eq!(parts[..4].iter().copied().collect::<BTreeSet<_>>().len(), 4);
        assert!(replies.iter().all(|reply| parts[..4].contains(&reply.part())));
        assert_eq!(parts[4], rule.part(), "before any broadcast");
        assert_eq!(desk.reader().outbox_stats(NOON).await.unwrap().in_hand, 5);
        assert_eq!(desk.claim_parts(NOON).await.len(), 3, "the broadcasts are not lost");
    }

    async fn a_skipped_account_is_found_again(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let other = an_account(desk.account.connection, "beta");
        desk.add_account(&other).await;
        let held = desk.send(desk.talk().await, 1, Priority::Reply, NOON - seconds(60)).await;
        let free = desk.send(desk.talk_on(other.id).await, 1, Priority::Reply, NOON).await;
        let mut bound = ClaimBound::default();
        let mut claim = async |room: &AccountRoom, now| {
            let request = ClaimRequest { owner: ADA, limit: 10, now, lease: LEASE, bound: &mut bound, room };
            let claimed = desk.storage.claim(&desk.scope, request).await.unwrap();
            claimed.into_iter().map(|claimed| claimed.part).collect::<Vec<_>>()
        };
        let full = AccountRoom::default().with(desk.account.id, 0);
        assert_eq!(claim(&full, NOON).await, [free.part()]);
        assert!(claim(&full, NOON + seconds(30)).await.is_empty());
        assert_eq!(claim(&AccountRoom::of(1), NOON + seconds(31)).await, [held.part()]);
    }

    async fn what_became_ready_behind_the_bound_is_found(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let mut bound = ClaimBound::default();
        let before = desk.reply(desk.talk().await).await;
        let now = NOON + seconds(10);
        assert_eq!(desk.claim_from(&mut bound, ADA, 10, now).await[0].part, before.part());
        assert!(desk.claim_from(&mut bound, ADA, 10, now).await.is_empty());
        // Committed late, or by a replica whose clock is behind: within two seconds nobody waits for the sweep.
        let talk = desk.talk().await;
        let late = desk.send(talk, 1, Priority::Reply, now - seconds(1)).await;
        assert_eq!(desk.claim_from(&mut bound, ADA, 10, now).await[0].part, late.part());
        desk.begin(late.part(), now).await.unwrap();
        desk.settle(late.part(), 1, sent("late"), now).await;
        // Further back only the sweep finds it.
        let later = now + seconds(60);
        assert!(desk.claim_from(&mut bound, ADA, 10, later).await.is_empty());
        let very_late = desk.send(talk, 1, Priority::Reply, now).await;
        assert!(desk.claim_from(&mut bound, ADA, 10, later).await.is_empty());
        bound.reset();
        assert_eq!(desk.claim_from(&mut bound, ADA, 10, later).await[0].part, very_late.part());
    }

    async fn leases_are_measured_by_the_databases_clock(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.reply(desk.talk().await).await;
        let claim = |lease| {
            let desk = &desk;
            async move {
                let mut bound = ClaimBound::default();
                let room = AccountRoom::default();
                let request = ClaimRequest { owner: ADA, limit: 1, now: NOON, lease, bound: &mut bound, room: &room };
                desk.storage.claim(&desk.scope, request).await.unwrap()
            }
        };
        assert_eq!(claim(Duration::milliseconds(30)).await.len(), 1);
        tokio::time::sleep(std::time::Duration::from_millis(60)).await;
        // By the service's clock no time has passed.
        assert_eq!(desk.begin(way.part(), NOON).await, None, "the lease is over");
        let recovered = desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        let [back] = recovered.as_slice() else { panic!("{recovered:?}") };
        assert_eq!((back.part, back.was, back.now, back.crashes), (way.part(), RecoveredFrom::Claimed, DeliveryState::Queued, 1));
        assert!(desk.storage.recover(&desk.scope, NOON, 10).await.unwrap().is_empty());
        assert_eq!(claim(LEASE).await.len(), 1);
        assert!(desk.storage.recover(&desk.scope, NOON + Duration::days(1), 10).await.unwrap().is_empty(), "its lease lasts");
        assert_eq!(desk.begin(way.part(), NOON).await, Some(1), "no attempt was counted");
    }

    async fn what_may_have_left_becomes_unknown(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.sending(desk.talk().await).await;
        lapse(&db).await;
        let recovered = desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        assert_eq!((recovered[0].was, recovered[0].now), (RecoveredFrom::Sending, DeliveryState::Unknown));
        assert_eq!(desk.state(&way).await, DeliveryState::Unknown);
        assert_eq!(desk.stored(way.message).await.failure, Some(json!({ "code": "lease_lapsed" })));
        assert!(desk.claim_parts(NOON + Duration::hours(1)).await.is_empty(), "never again by itself (P3)");
        let attempts = desk.reader().attempts(way.part()).await.unwrap();
        assert_eq!(attempts[0].verdict.as_deref(), Some("unknown"));
    }

    async fn a_request_without_a_key_is_remembered_over_a_crash(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.sending(desk.talk().await).await;
        let part = way.part();
        desk.storage
            .transact::<_, StorageError, _>(&desk.scope, move |tx| Box::pin(async move { tx.note_unrepeatable(part, 1, NOON).await }))
            .await
            .unwrap();
        lapse(&db).await;
        desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        let evidence = desk.reader().part_evidence(part).await.unwrap();
        assert_eq!(evidence.iter().map(PartEvidence::forbids_repeats).collect::<Vec<_>>(), [true, false]);
    }

    async fn a_late_answer_is_evidence(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.sending(desk.talk().await).await;
        lapse(&db).await;
        desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        let retry = done(Outcome::Retry { due_at: NOON });
        assert_eq!(desk.settle(way.part(), 1, retry, NOON).await, Settled::LeaseLost);
        assert_eq!(desk.settle(way.part(), 1, done(Outcome::Failed), NOON).await, Settled::LeaseLost);
        assert_eq!(desk.state(&way).await, DeliveryState::Unknown);
        let evidence = desk.reader().part_evidence(way.part()).await.unwrap();
        let kinds: Vec<&str> = evidence.iter().map(|evidence| evidence.kind.as_str()).collect();
        assert_eq!(kinds, ["recovered", "late_answer", "late_answer"]);
        assert_eq!((evidence[2].attempt, evidence[2].data["verdict"].as_str()), (Some(1), Some("failed")));
    }

    async fn a_late_acceptance_of_the_same_attempt_is_proof(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let way = desk.sending(talk).await;
        lapse(&db).await;
        desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        let settled = desk.settle(way.part(), 1, sent("p-1"), NOON).await;
        assert_eq!(settled, Settled::Done { message_state: DeliveryState::Sent, joined: Vec::new(), echo: None });
        assert_eq!(rows(&db, "outbox").await, 0);

        // Of another attempt it proves nothing about this one.
        let again = desk.unknown(talk).await;
        let (part, by) = (again.part(), desk.by());
        in_tx!(desk, [by], tx => tx.settle_unknown(part, Choice::SendAgain, &by, NOON).await).unwrap().unwrap();
        assert_eq!(desk.claim_and_begin(part, NOON).await, 2);
        assert_eq!(desk.settle(part, 1, sent("p-2"), NOON).await, Settled::LeaseLost);
        assert_eq!(desk.state(&again).await, DeliveryState::Sending);
    }

    async fn three_crashes_are_poison(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let way = desk.reply(talk).await;
        let next = desk.reply(talk).await;
        for crash in 1..=3 {
            assert_eq!(desk.claim_parts(NOON).await, [way.part()]);
            lapse(&db).await;
            let recovered = desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
            assert_eq!(recovered[0].crashes, crash);
        }
        assert_eq!(desk.state(&way).await, DeliveryState::NotSent);
        assert_eq!(desk.stored(way.message).await.failure.unwrap()["reason"], "poison");
        assert_eq!(desk.claim_parts(NOON).await, [next.part()], "the others go on");
    }

    async fn a_crash_that_was_survived_is_forgotten(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.reply(desk.talk().await).await;
        for _ in 0..2 {
            desk.claim_parts(NOON).await;
            lapse(&db).await;
            desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        }
        desk.claim_and_begin(way.part(), NOON).await;
        desk.settle(way.part(), 1, done(Outcome::Retry { due_at: NOON }), NOON).await;
        desk.claim_parts(NOON).await;
        lapse(&db).await;
        let recovered = desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        assert_eq!((recovered[0].crashes, recovered[0].now), (1, DeliveryState::Queued));
    }

    async fn several_parts_begin_in_one_commit(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talks = desk.talks_on(desk.account.id, 5).await;
        let ways = desk.send_many(&talks, 1, Priority::Reply, NOON).await;
        let parts = desk.claim_parts(NOON).await;
        let steal = "UPDATE outbox SET owner = NULL, state = 'queued' WHERE seq = 1";
        raw(&db).await.execute_unprepared(steal).await.unwrap();
        let stolen = desk.claim(BOB, 10, NOON).await;
        let begun = desk.storage.begin_sending_many(&desk.scope, ADA, &parts, LEASE, NOON).await.unwrap();
        let begun: BTreeSet<PartId> = begun.into_iter().inspect(|(_, attempt)| assert_eq!(*attempt, 1)).map(|(part, _)| part).collect();
        let mine: BTreeSet<PartId> = parts.iter().copied().filter(|part| *part != stolen[0].part).collect();
        assert_eq!((begun, stolen.len()), (mine.clone(), 1), "all but the one that somebody else has by now");
        for way in &ways {
            let expected = if mine.contains(&way.part()) { DeliveryState::Sending } else { DeliveryState::Queued };
            assert_eq!(desk.state(way).await, expected);
        }
    }

    async fn a_claimed_part_is_withheld_or_postponed_without_an_attempt(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let (way, next) = (desk.reply(talk).await, desk.reply(talk).await);
        let part = way.part();
        desk.claim_parts(NOON).await;
        let (reason, at) = (json!({ "reason": "quiet_hours" }), NOON + Duration::hours(8));
        assert!(!in_tx!(desk, [], tx => tx.postpone(part, BOB, at, NOON).await).unwrap(), "it is not his");
        assert!(in_tx!(desk, [], tx => tx.postpone(part, ADA, at, NOON).await).unwrap());
        assert!(desk.claim_parts(at - seconds(1)).await.is_empty());
        let claimed = desk.claim(ADA, 10, at).await;
        assert_eq!((claimed[0].part, claimed[0].attempt, claimed[0].due_at), (part, 1, at));

        let withhold = async |owner| in_tx!(desk, [reason], tx => tx.withhold(part, owner, DeliveryState::NotSent, &reason, at).await);
        assert!(!withhold(BOB).await.unwrap());
        assert!(withhold(ADA).await.unwrap());
        assert!(!withhold(ADA).await.unwrap());
        let stored = desk.stored(way.message).await;
        assert_eq!((stored.message.state, stored.failure), (Some(DeliveryState::NotSent), Some(reason)));
        assert!(desk.reader().attempts(part).await.unwrap().is_empty());
        assert_eq!(desk.claim_parts(at).await, [next.part()]);
    }

    async fn a_choice_counts_once(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (by, talk) = (desk.by(), desk.talk().await);
        let choose = async |part, choice| in_tx!(desk, [by], tx => tx.settle_unknown(part, choice, &by, NOON).await);

        let confirmed = desk.unknown(talk).await.part();
        let both = tokio::join!(choose(confirmed, Choice::Confirm), choose(confirmed, Choice::SendAgain));
        let both = [both.0.unwrap(), both.1.unwrap()];
        assert_eq!(both.iter().flatten().count(), 1, "the second click finds nothing: {both:?}");

        let talk = desk.talk().await;
        let given_up = desk.unknown(talk).await;
        assert_eq!(choose(given_up.part(), Choice::GiveUp).await.unwrap(), Some(DeliveryState::Failed));
        assert_eq!(choose(given_up.part(), Choice::Confirm).await.unwrap(), None);
        assert_eq!(desk.state(&given_up).await, DeliveryState::Failed);

        let again = desk.unknown(talk).await;
        assert_eq!(choose(again.part(), Choice::SendAgain).await.unwrap(), Some(DeliveryState::Queued));
        assert_eq!(desk.claim_and_begin(again.part(), NOON).await, 2);
        let attempts = desk.reader().attempts(again.part()).await.unwrap();
        assert_eq!((attempts[0].asked_by.clone(), attempts[1].asked_by.clone()), (None, Some(by.clone())));
        let evidence = desk.reader().part_evidence(again.part()).await.unwrap();
        assert_eq!((evidence[0].kind.as_str(), &evidence[0].data), ("send_again", &json!({ "by": by })));
        let queued = desk.reply(desk.talk().await).await;
        assert_eq!(choose(queued.part(), Choice::GiveUp).await.unwrap(), None, "it is not unknown");
    }

    async fn a_platform_that_dedupes_gets_an_unknown_one_again(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.unknown(desk.talk().await).await;
        let part = way.part();
        assert!(in_tx!(desk, [], tx => tx.resend_unknown(part, NOON).await).unwrap());
        assert!(!in_tx!(desk, [], tx => tx.resend_unknown(part, NOON).await).unwrap());
        assert_eq!(desk.claim_and_begin(part, NOON).await, 2);
    }

    async fn a_person_retries_what_failed(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let way = desk.sending(talk).await;
        let waiting = desk.reply(talk).await;
        let (part, by) = (way.part(), desk.by());
        let retry = async || in_tx!(desk, [by], tx => tx.retry_part(part, &by, NOON, NOON, NOON + Duration::HOUR).await);
        assert!(!retry().await.unwrap(), "it is on the wire");
        desk.settle(part, 1, done(Outcome::Failed), NOON).await;
        assert_eq!(desk.state(&way).await, DeliveryState::Failed);
        let clicks = tokio::join!(retry(), retry());
        assert_eq!([clicks.0.unwrap(), clicks.1.unwrap()].iter().filter(|done| **done).count(), 1);
        assert_eq!(desk.state(&way).await, DeliveryState::Queued);
        assert_eq!(desk.stored(way.message).await.failure, None);
        assert_eq!(desk.claim_parts(NOON).await, [waiting.part()], "accepted again, so behind what waits");
        desk.begin(waiting.part(), NOON).await.unwrap();
        desk.settle(waiting.part(), 1, sent("w"), NOON).await;
        let claimed = desk.claim(ADA, 10, NOON).await;
        assert_eq!((claimed[0].part, claimed[0].attempt, claimed[0].expires_at), (part, 2, NOON + Duration::HOUR));
    }

    async fn what_is_ours_alone_can_be_withdrawn(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (by, talk) = (desk.by(), desk.talk().await);
        let way = desk.send(talk, 3, Priority::Reply, NOON).await;
        let message = way.message;
        desk.claim_and_begin(way.parts[0], NOON).await;
        desk.settle(way.parts[0], 1, sent("a"), NOON).await;
        desk.claim_parts(NOON).await;
        let cancel = async || in_tx!(desk, [by], tx => tx.cancel_message(message, &by, NOON).await);
        assert!(cancel().await.unwrap());
        assert!(!cancel().await.unwrap());
        use DeliveryState::{Canceled, Sent};
        assert_eq!(desk.part_states(&way).await, [Sent, Canceled, Canceled]);
        assert_eq!(desk.begin(way.parts[1], NOON).await, None, "claimed, and yet it does not leave");

        let on_the_wire = desk.sending(talk).await;
        let queued = desk.reply(talk).await;
        let (identity, reason) = (talk.identity, json!({ "reason": "opted_out" }));
        let stopped = in_tx!(desk, [reason], tx => tx.cancel_queued_for(identity, &reason, NOON).await).unwrap();
        assert_eq!(stopped, [queued.part()], "bar what is on the wire (P6)");
        assert_eq!(desk.state(&on_the_wire).await, DeliveryState::Sending);
        let stored = desk.stored(queued.message).await;
        assert_eq!((stored.message.state, stored.failure), (Some(DeliveryState::NotSent), Some(reason)));
    }

    async fn a_message_shows_the_worst_of_its_parts(db: TestDatabase) {
        use DeliveryState::{Delivered, Failed, Queued, Read, Sent};
        let desk = Desk::open(&db).await;
        let way = desk.send(desk.talk().await, 2, Priority::Reply, NOON).await;
        desk.claim_and_begin(way.parts[0], NOON).await;
        let settled = desk.settle(way.parts[0], 1, sent("a"), NOON).await;
        assert_eq!(settled, Settled::Done { message_state: Queued, joined: Vec::new(), echo: None }, "one part has not left");
        desk.claim_and_begin(way.parts[1], NOON).await;
        // The second part's end and the first one's receipt at the same time: neither overwrites the other.
        tokio::join!(desk.settle(way.parts[1], 1, sent("b"), NOON), desk.receipt("a", Read));
        assert_eq!((desk.state(&way).await, desk.part_states(&way).await), (Sent, vec![Read, Sent]));
        desk.receipt("b", Failed).await;
        let stored = desk.stored(way.message).await;
        assert_eq!((stored.message.state, stored.failure), (Some(Failed), Some(json!({ "code": "undeliverable" }))));
        desk.receipt("b", Delivered).await;
        let stored = desk.stored(way.message).await;
        assert_eq!((stored.message.state, stored.failure), (Some(Delivered), None));
    }

    async fn a_worker_that_stops_gives_its_claims_back(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talks = desk.talks_on(desk.account.id, 3).await;
        desk.send_many(&talks, 1, Priority::Reply, NOON).await;
        let parts = desk.claim_parts(NOON).await;
        desk.begin(parts[0], NOON).await.unwrap();
        assert_eq!(desk.storage.release_claims(&desk.scope, ADA, NOON).await.unwrap(), 2);
        assert_eq!(desk.claim(BOB, 10, NOON).await.len(), 2);
    }

    async fn a_workspace_with_work_is_known_and_forgotten(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let due = async |at| !desk.storage.scopes_with_due_work(at).await.unwrap().is_empty();
        assert!(!due(NOON).await);
        let way = desk.send(desk.talk().await, 1, Priority::Reply, NOON + Duration::HOUR).await;
        assert!(!due(NOON).await && due(NOON + Duration::HOUR).await);
        let now = desk.reply(desk.talk().await).await;
        assert!(due(NOON).await, "an earlier one brings the hint forward");
        desk.claim_parts(NOON).await;
        desk.begin(now.part(), NOON).await.unwrap();
        desk.settle(now.part(), 1, sent("a"), NOON).await;

        // A sweep that finds nothing defers the hint, but never past what is queued.
        let later = NOON + Duration::minutes(5);
        assert!(desk.claim_parts(later).await.is_empty());
        assert!(!due(later).await && due(NOON + Duration::HOUR).await);
        assert_eq!(desk.claim_parts(NOON + Duration::HOUR).await, [way.part()]);
        assert!(desk.claim_parts(NOON + Duration::hours(2)).await.is_empty());
        assert!(!due(NOON + Duration::days(9)).await, "nothing is left");

        // A hint that was lost all the same is found missing.
        desk.reply(desk.talk().await).await;
        raw(&db).await.execute_unprepared("DELETE FROM workspaces_due").await.unwrap();
        desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        assert!(due(NOON).await);
    }

    async fn another_workspace_sees_nothing_of_it(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let foreign = db.workspace(&desk.storage, "Other").await;
        let foreign = Desk::of(&db, desk.storage.clone(), foreign).await;
        let way = desk.unknown(desk.talk().await).await;
        let queued = desk.reply(desk.talk().await).await;
        let (part, message, by) = (way.part(), queued.message, foreign.by());
        assert!(foreign.claim_parts(NOON + Duration::DAY).await.is_empty());
        assert_eq!(in_tx!(foreign, [by], tx => tx.settle_unknown(part, Choice::Confirm, &by, NOON).await).unwrap(), None);
        assert!(!in_tx!(foreign, [by], tx => tx.cancel_message(message, &by, NOON).await).unwrap());
        assert_eq!(foreign.settle(part, 1, sent("x"), NOON).await, Settled::LeaseLost);
        lapse(&db).await;
        assert!(foreign.storage.recover(&foreign.scope, NOON, 10).await.unwrap().is_empty());
        assert!(foreign.reader().attempts(part).await.unwrap().is_empty());
        assert!(foreign.reader().unknown_parts(10).await.unwrap().is_empty());
        assert_eq!(foreign.reader().outbox_stats(NOON).await.unwrap(), OutboxStats::default());
        let stats = desk.reader().outbox_stats(NOON).await.unwrap();
        assert_eq!((stats.due, stats.oldest_due_at, stats.unknown), (1, Some(NOON), 1));
    }

    async fn old_attempts_are_forgotten_but_not_of_parts_on_their_way(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let settled = desk.sent(desk.talk().await, "a").await;
        let unknown = desk.unknown(desk.talk().await).await;
        assert_eq!(in_tx!(desk, [], tx => tx.purge_attempts(NOON + seconds(1), 10).await).unwrap(), 1);
        assert!(desk.reader().attempts(settled.part()).await.unwrap().is_empty());
        assert_eq!(desk.reader().attempts(unknown.part()).await.unwrap().len(), 1);
    }

    async fn an_open_snapshot_neither_slows_nor_loses_claims(db: TestDatabase) {
        const COUNT: usize = 1_500;
        let desk = Desk::open(&db).await;
        let talks = desk.talks_on(desk.account.id, COUNT).await;
        let ways = desk.send_many(&talks, 1, Priority::Broadcast, NOON - Duration::HOUR).await;
        let holder = raw(&db).await;
        let snapshot = holder.begin().await.unwrap();
        if db.is_postgres() {
            snapshot.execute_unprepared("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
        }
        let look = Statement::from_string(snapshot.get_database_backend(), "SELECT count(*) FROM outbox");
        snapshot.query_one_raw(look).await.unwrap();

        let (mut bound, mut parts) = (ClaimBound::default(), BTreeSet::new());
        loop {
            let claimed = desk.claim_from(&mut bound, ADA, 50, NOON + seconds(60)).await;
            if claimed.is_empty() {
                break;
            }
            parts.extend(claimed.into_iter().map(|claimed| claimed.part));
        }
        assert_eq!(parts, ways.iter().map(OnItsWay::part).collect(), "each once, none lost");
        if db.is_postgres() {
            // Entries of the index that were stepped over: 2 for each row that was looked at. Without a moving bound every
            // claim steps over all that were taken before, some 20,000 together.
            let read = index_entries_read(&db).await;
            assert!(read < 6 * i64::try_from(COUNT).unwrap(), "{read} entries were read for {COUNT} rows");
        }
        snapshot.rollback().await.unwrap();
    }
}

/// How many entries of the index of claims PostgreSQL has read, once its sessions have reported it.
async fn index_entries_read(db: &TestDatabase) -> i64 {
    let raw = raw(db).await;
    let ask = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'outbox_ready'";
    let mut last = -1;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
        let row = raw.query_one_raw(Statement::from_string(raw.get_database_backend(), ask)).await.unwrap().unwrap();
        let read: i64 = row.try_get("", "idx_tup_read").unwrap();
        if read == last && read > 0 {
            return read;
        }
        last = read;
    }
}
