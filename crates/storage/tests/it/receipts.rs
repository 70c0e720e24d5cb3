//! Receipts on both databases: in any order, before the answer, for the right part only.

use crate::sending_support::*;
use DeliveryState::{Delivered, Failed, Queued, Read, Sending, Sent, Unknown};
use serde_json::json;
use time::Duration;
use transom_storage::both_databases;

const fn seconds(count: i64) -> Duration {
    Duration::seconds(count)
}

/// What can happen to a part that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Answer,
    Receipt(DeliveryState),
    /// A watermark, behind the send.
    UpTo(DeliveryState),
}

/// Every order of these steps.
fn orders(steps: &[Step]) -> Vec<Vec<Step>> {
    let Some((first, rest)) = steps.split_first() else { return vec![Vec::new()] };
    let put = |order: Vec<Step>| {
        (0..=order.len()).map(move |place| {
            let mut order = order.clone();
            order.insert(place, *first);
            order
        })
    };
    orders(rest).into_iter().flat_map(put).collect()
}

async fn play(desk: &Desk, order: &[Step]) -> StoredPart {
    let talk = desk.talk().await;
    let way = desk.sending(talk).await;
    let provider_id = way.part().to_string();
    for step in order {
        match step {
            Step::Answer => {
                let settled = desk.settle(way.part(), 1, sent(&provider_id), NOON + seconds(3)).await;
                assert!(matches!(settled, Settled::Done { .. }), "{order:?}: {settled:?}");
            }
            Step::Receipt(state) => {
                desk.receipt(&provider_id, *state).await;
            }
            Step::UpTo(state) => {
                let (key, person) = (ReceiptKey::UpTo(NOON + seconds(5)), Some(talk.identity));
                desk.receipt_for(key, person, *state, NOON + seconds(9)).await;
            }
        }
    }
    let stored = desk.stored(way.message).await;
    assert_eq!(stored.message.state, Some(stored.parts[0].part.state), "{order:?}");
    assert_eq!(rows_of(desk, &way).await, 0, "{order:?}: nothing is left in the outbox");
    stored.parts[0].clone()
}

async fn rows_of(desk: &Desk, way: &OnItsWay) -> usize {
    desk.claim(BOB, 100, NOON + Duration::days(1)).await.iter().filter(|claimed| claimed.part == way.part()).count()
}

async fn all_orders_end_alike(db: &TestDatabase, steps: &[Step], expected: DeliveryState) {
    let desk = Desk::open(db).await;
    let mut ends = Vec::new();
    for order in orders(steps) {
        let mut twice = order.clone();
        twice.extend(order.iter().filter(|step| **step != Step::Answer));
        for order in [order, twice] {
            let part = play(&desk, &order).await;
            ends.push((part.part.state, part.failure, part.delivered_at, part.read_at, part.sent_at, order));
        }
    }
    assert_eq!(ends[0].0, expected);
    // A watermark need not say when each of the many was delivered that are read already.
    let watermarks = steps.iter().any(|step| matches!(step, Step::UpTo(_)));
    let first = &ends[0];
    for end in &ends {
        let delivered_at = if watermarks { first.2 } else { end.2 };
        assert_eq!(
            (end.0, &end.1, delivered_at, end.3, end.4),
            (first.0, &first.1, first.2, first.3, first.4),
            "{:?}",
            end.5
        );
    }
    assert_eq!(rows(db, "receipts_parked WHERE reference NOT LIKE 'up_to:%'").await, 0, "every parked one was joined");
}

both_databases! {
    async fn receipts_come_in_any_order_before_and_after_the_answer(db: TestDatabase) {
        let steps = [Step::Answer, Step::Receipt(Sent), Step::Receipt(Delivered), Step::Receipt(Read)];
        all_orders_end_alike(&db, &steps, Read).await;
    }

    async fn a_failure_yields_to_proof_in_any_order(db: TestDatabase) {
        let steps = [Step::Answer, Step::Receipt(Failed), Step::Receipt(Sent), Step::Receipt(Delivered)];
        all_orders_end_alike(&db, &steps, Delivered).await;
        all_orders_end_alike(&db, &[Step::Answer, Step::Receipt(Failed), Step::Receipt(Sent)], Failed).await;
    }

    async fn watermarks_come_in_any_order(db: TestDatabase) {
        all_orders_end_alike(&db, &[Step::Answer, Step::UpTo(Read)], Read).await;
        all_orders_end_alike(&db, &[Step::Answer, Step::UpTo(Delivered), Step::Receipt(Read)], Read).await;
    }

    /// The platform names the latest message that was seen: the earlier ones are seen too, whenever the answers come.
    async fn what_was_sent_before_a_seen_message_is_seen(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        for early in [false, true] {
            let (talk, other) = (desk.talk().await, desk.talk().await);
            let id = |place: u8| format!("{early}-{place}");
            let mut ways = Vec::new();
            for place in 0..3 {
                let way = desk.reply(talk).await;
                desk.claim_and_begin(way.part(), NOON + seconds(i64::from(place))).await;
                // The second one's answer may come after it was seen.
                if early && place == 1 {
                    let seen = ReceiptKey::Through { provider_id: id(1) };
                    assert!(desk.receipt_for(seen, None, Read, NOON + seconds(60)).await.is_empty());
                }
                desk.settle(way.part(), 1, sent(&id(place)), NOON + seconds(9)).await;
                ways.push(way);
            }
            let elsewhere = desk.sent(other, &format!("{early}-elsewhere")).await;
            if !early {
                let seen = ReceiptKey::Through { provider_id: id(1) };
                let changed = desk.receipt_for(seen.clone(), None, Read, NOON + seconds(60)).await;
                assert_eq!(changed.len(), 2, "{changed:?}");
                assert!(desk.receipt_for(seen, None, Read, NOON + seconds(70)).await.is_empty(), "once");
            }
            let mut states = Vec::new();
            for way in ways.iter().chain([&elsewhere]) {
                states.push(desk.state(way).await);
            }
            assert_eq!(states, [Read, Read, Sent, Sent], "early: {early}");
            assert_eq!(desk.stored(ways[0].message).await.parts[0].read_at, Some(NOON + seconds(60)));
            assert_eq!(rows(&db, "receipts_parked").await, 0);
        }
    }

    async fn an_early_receipt_is_told_with_the_answer(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.sending(desk.talk().await).await;
        assert!(desk.receipt("p-1", Delivered).await.is_empty(), "nobody knows this id yet");
        assert!(desk.receipt("p-1", Failed).await.is_empty());
        assert_eq!(rows(&db, "receipts_parked").await, 2);
        let settled = desk.settle(way.part(), 1, sent("p-1"), NOON).await;
        let Settled::Done { message_state: Delivered, joined, .. } = settled else { panic!("{settled:?}") };
        assert_eq!(joined.last().map(|changed| (changed.part, changed.to)), Some((way.part(), Delivered)));
        assert_eq!(rows(&db, "receipts_parked").await, 0);
    }

    async fn answers_and_receipts_at_the_same_time_miss_each_other_never(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = desk.sending_many(40).await;
        let twin = desk.replica(&db).await;
        let mut both = tokio::task::JoinSet::new();
        for way in &ways {
            let (desk, twin, part) = (desk.clone(), twin.clone(), way.part());
            both.spawn(async move { drop(desk.settle(part, 1, sent(&part.to_string()), NOON).await) });
            both.spawn(async move { drop(twin.receipt(&part.to_string(), Delivered).await) });
        }
        while let Some(ended) = both.join_next().await {
            ended.unwrap();
        }
        for way in &ways {
            assert_eq!(desk.state(way).await, Delivered);
        }
        assert_eq!(rows(&db, "receipts_parked").await, 0);
    }

    async fn our_own_reference_settles_what_nobody_knew(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.unknown(desk.talk().await).await;
        let changed = desk.receipt_with("p-1", Some(way.part()), Delivered).await;
        let [changed] = changed.as_slice() else { panic!("{changed:?}") };
        assert_eq!((changed.part, changed.message, changed.from, changed.to), (way.part(), way.message, Unknown, Delivered));
        assert_eq!(changed.message_state, Delivered);
        assert_eq!(rows(&db, "outbox").await, 0);
        let stored = desk.stored(way.message).await;
        assert_eq!(stored.parts[0].part.provider_id.as_deref(), Some("p-1"));
        assert_eq!((stored.parts[0].sent_at, stored.failure), (Some(NOON), None));
        // From now on the platform's id alone suffices.
        assert_eq!(desk.receipt("p-1", Read).await.len(), 1);
        let evidence = desk.reader().part_evidence(way.part()).await.unwrap();
        assert_eq!(evidence[0].kind, "receipt");
        let attempts = desk.reader().attempts(way.part()).await.unwrap();
        assert_eq!(attempts[0].verdict.as_deref(), Some("sent"));
    }

    async fn a_receipt_faster_than_the_answer_settles_the_part(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.sending(desk.talk().await).await;
        let changed = desk.receipt_with("p-1", Some(way.part()), Read).await;
        assert_eq!((changed[0].from, changed[0].to), (Sending, Read));
        let settled = desk.settle(way.part(), 1, sent("p-1"), NOON).await;
        assert_eq!(settled, Settled::Done { message_state: Read, joined: Vec::new(), echo: None });
        assert!(desk.reader().part_evidence(way.part()).await.unwrap().iter().all(|e| e.kind == "receipt"));
        assert_eq!(desk.reader().attempts(way.part()).await.unwrap()[0].duration_ms, Some(7));
    }

    async fn what_the_platform_has_is_not_sent_again(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.sending(desk.talk().await).await;
        desk.settle(way.part(), 1, done(Outcome::Retry { due_at: NOON }), NOON).await;
        desk.claim_parts(NOON).await;
        let changed = desk.receipt_with("p-1", Some(way.part()), Sent).await;
        assert_eq!((changed[0].from, changed[0].to), (Queued, Sent));
        assert_eq!(desk.begin(way.part(), NOON).await, None, "P3");
        assert_eq!(rows(&db, "outbox").await, 0);
    }

    async fn receipts_of_an_earlier_attempt_do_not_stop_the_next(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.sent(desk.talk().await, "p-1").await;
        desk.receipt("p-1", Failed).await;
        let (part, by) = (way.part(), desk.by());
        assert!(in_tx!(desk, [by], tx => tx.retry_part(part, &by, NOON, NOON, NOON + Duration::HOUR).await).unwrap());
        assert!(desk.receipt("p-1", Sent).await.is_empty(), "that it was accepted once is known");
        assert!(desk.receipt("p-1", Failed).await.is_empty());
        assert_eq!(desk.claim_and_begin(part, NOON).await, 2);
        assert!(desk.receipt("p-1", Failed).await.is_empty());
        desk.settle(part, 2, sent("p-2"), NOON).await;
        assert_eq!(desk.receipt("p-2", Delivered).await.len(), 1);

        // But proof that the first one arrived does.
        let way = desk.sent(desk.talk().await, "q-1").await;
        let part = way.part();
        desk.receipt("q-1", Failed).await;
        in_tx!(desk, [by], tx => tx.retry_part(part, &by, NOON, NOON, NOON + Duration::HOUR).await).unwrap();
        assert_eq!(desk.receipt("q-1", Delivered).await[0].to, Delivered);
        assert!(desk.claim_parts(NOON).await.is_empty());
    }

    async fn receipts_stay_within_their_account_and_workspace(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let other = an_account(desk.account.connection, "beta");
        desk.add_account(&other).await;
        let way = desk.sent(desk.talk().await, "p-1").await;
        let elsewhere = Desk { account: other, ..desk.clone() };
        assert!(elsewhere.receipt_with("p-1", Some(way.part()), Read).await.is_empty());
        let foreign = db.workspace(&desk.storage, "Other").await;
        let foreign = Desk { scope: foreign, ..desk.clone() };
        assert!(foreign.receipt_with("p-1", Some(way.part()), Read).await.is_empty());
        let key = ReceiptKey::UpTo(NOON + Duration::HOUR);
        assert!(foreign.receipt_for(key, Some(way.talk.identity), Read, NOON).await.is_empty());
        assert_eq!(desk.state(&way).await, Sent);
    }

    async fn a_watermark_raises_what_was_sent_before_it(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let mut ways = Vec::new();
        for at in 0..4 {
            let way = desk.send(talk, 1, Priority::Reply, NOON).await;
            let begun = NOON + seconds(10 * at);
            desk.claim_and_begin(way.part(), begun).await;
            desk.settle(way.part(), 1, sent(&format!("p-{at}")), begun + seconds(2)).await;
            ways.push(way);
        }
        let stranger = desk.sent(desk.talk().await, "s").await;
        desk.receipt("p-1", Failed).await;
        // The platform accepted the third one a moment after we began, and names that moment.
        let key = ReceiptKey::UpTo(NOON + seconds(21));
        let changed = desk.receipt_for(key.clone(), Some(talk.identity), Delivered, NOON + seconds(30)).await;
        assert_eq!(changed.iter().map(|changed| changed.part).collect::<Vec<_>>(), [ways[0].part(), ways[2].part()]);
        let states = [desk.state(&ways[0]).await, desk.state(&ways[1]).await, desk.state(&ways[2]).await, desk.state(&ways[3]).await];
        assert_eq!(states, [Delivered, Failed, Delivered, Sent], "it proves nothing about what failed");
        assert_eq!(desk.state(&stranger).await, Sent);
        let changed = desk.receipt_for(key.clone(), Some(talk.identity), Read, NOON + seconds(30)).await;
        assert_eq!(changed.len(), 2);
        assert!(desk.receipt_for(key.clone(), Some(talk.identity), Delivered, NOON).await.is_empty(), "ranks only rise");
        assert!(desk.receipt_for(key, None, Read, NOON).await.is_empty());
    }

    async fn a_watermark_does_not_settle_what_nobody_knows(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let way = desk.unknown(talk).await;
        let key = ReceiptKey::UpTo(NOON + Duration::HOUR);
        assert!(desk.receipt_for(key, Some(talk.identity), Read, NOON).await.is_empty());
        assert_eq!(desk.state(&way).await, Unknown);
        // Once it is known to have been accepted, it counts.
        let settled = desk.settle(way.part(), 1, sent("p-1"), NOON).await;
        assert!(matches!(settled, Settled::Done { message_state: Read, .. }), "{settled:?}");
    }

    /// The parts of a letter: the customer's is the first, those of further readers come after it.
    async fn of_parts_that_share_an_id_the_first_is_meant(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.send(desk.talk().await, 2, Priority::Reply, NOON).await;
        for part in &way.parts {
            desk.claim_and_begin(*part, NOON).await;
            let settled = desk.settle(*part, 1, sent("<mail@example.com>"), NOON).await;
            assert!(matches!(settled, Settled::Done { .. }));
        }
        assert_eq!(desk.receipt("<mail@example.com>", Delivered).await.len(), 1);
        assert_eq!(desk.part_states(&way).await, [Delivered, Sent]);
    }

    async fn parked_receipts_are_forgotten_in_the_end(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        desk.receipt("never-ours", Read).await;
        desk.receipt("never-ours", Read).await;
        assert_eq!(rows(&db, "receipts_parked").await, 1);
        let purge = async |before| in_tx!(desk, [], tx => tx.purge_parked_receipts(before, 10).await).unwrap();
        assert_eq!((purge(NOON).await, purge(NOON + seconds(1)).await), (0, 1));
    }

    async fn what_failed_by_receipt_says_why(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.sent(desk.talk().await, "p-1").await;
        let changed = desk.receipt("p-1", Failed).await;
        let why = json!({ "code": "undeliverable" });
        assert_eq!(changed[0].detail, Some(why.clone()));
        assert_eq!(desk.stored(way.message).await.failure, Some(why));
    }
}
