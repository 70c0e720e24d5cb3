//! The quota ledger on both databases: used + held <= limit, whoever comes when (P5).

use std::collections::BTreeSet;
use std::slice::from_ref;

use crate::sending_support::*;
use serde_json::json;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use transom_storage::test_support::statements;
use transom_storage::{Choice, PeopleOf, both_databases};
use transom_windows::{Ask, Category, Event, Facts, Policies, Policy, Sender, Snapshot, Subject, What};

const DAY: Duration = Duration::DAY;

const fn seconds(count: i64) -> Duration {
    Duration::seconds(count)
}

fn of(scope: QuotaScope, quota: &str, period: &str, limit: u64) -> Reservation {
    Reservation {
        quota: quota.into(),
        scope,
        period: period.into(),
        limit: Some(limit),
        cost: 1,
        counting: Counting::Requests,
    }
}

fn monthly(desk: &Desk, limit: u64) -> Reservation {
    of(QuotaScope::Account(desk.account.id), "monthly", "2026-11", limit)
}

fn people(desk: &Desk, limit: u64) -> Reservation {
    Reservation {
        counting: Counting::DistinctRecipients { window: DAY },
        ..of(QuotaScope::Group(desk.account.name.clone()), "people", "rolling", limit)
    }
}

fn rolling(desk: &Desk, limit: u64) -> Reservation {
    Reservation {
        counting: Counting::Rolling { window: DAY },
        ..of(QuotaScope::Account(desk.account.id), "rolled", "rolling", limit)
    }
}

fn since(talk: Talk, at: OffsetDateTime, limit: u64) -> Reservation {
    let at = at.format(&time::format_description::well_known::Rfc3339).unwrap();
    of(QuotaScope::Identity(talk.identity), "count", &format!("since {at}"), limit)
}

async fn counts(db: &TestDatabase, name: &str) -> (i64, i64) {
    let of_name: Vec<(i64, i64)> =
        ledger(db).await.into_iter().filter(|((quota, _), _)| quota == name).map(|(_, counts)| counts).collect();
    of_name.into_iter().fold((0, 0), |(used, held), (more_used, more_held)| (used + more_used, held + more_held))
}

/// Everybody at once, through two processes; who got in.
async fn take_all(db: &TestDatabase, desk: &Desk, ways: &[OnItsWay], wanted: &Reservation) -> Vec<OnItsWay> {
    let twin = desk.replica(db).await;
    let takers = ways.iter().enumerate().map(|(place, way)| {
        let desk = if place % 2 == 0 { desk.clone() } else { twin.clone() };
        let (way, wanted) = (way.clone(), wanted.clone());
        tokio::spawn(async move { desk.reserve(&way, &[wanted], NOON).await.is_ok().then_some(way) })
    });
    let mut got_in = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        got_in.extend(taker.await.unwrap());
    }
    got_in
}

async fn ways(desk: &Desk, count: usize) -> Vec<OnItsWay> {
    let talks = desk.talks_on(desk.account.id, count).await;
    desk.send_many(&talks, 1, Priority::Reply, NOON).await
}

fn policy(name: &str) -> Policy {
    Policies::builtin().unwrap().get(name).unwrap().clone()
}

/// A page of people is told what each would be told alone, and asked for with no more statements than one.
async fn a_page_says_the_same(desk: &Desk, talks: &[Talk], policy: &Policy, now: OffsetDateTime) {
    let (reader, people): (_, Vec<_>) = (desk.reader(), talks.iter().map(|talk| talk.identity).collect());
    let asked = |people| [PeopleOf { account: &desk.account, policy, identities: people }];
    let (page, many) = statements::counted(reader.quota_facts_of(&asked(&people), now)).await;
    let (_, one) = statements::counted(reader.quota_facts_of(&asked(&people[..1]), now)).await;
    assert_eq!(many, one, "statements for {} people", people.len());
    for (identity, facts) in page.unwrap() {
        assert_eq!(facts, reader.quota_facts(&desk.account, identity, policy, None, now).await.unwrap());
    }
}

both_databases! {
    async fn of_120_takers_50_get_in(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 120).await;
        assert_eq!(take_all(&db, &desk, &ways, &monthly(&desk, 50)).await.len(), 50);
        assert_eq!(counts(&db, "monthly").await, (0, 50));
    }

    /// The platform counted 25 of 50 otherwise, and then says of 40 others that they count: no order passes the limit.
    async fn what_is_booked_anew_keeps_to_the_limit(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 120).await;
        let got_in = take_all(&db, &desk, &ways, &monthly(&desk, 50)).await;
        for way in &got_in {
            while desk.begin(way.part(), NOON).await.is_none() {
                desk.claim_parts(NOON).await;
            }
            desk.settle(way.part(), 1, sent(&way.part().to_string()), NOON).await;
        }
        assert_eq!(counts(&db, "monthly").await, (50, 0));
        let twin = desk.replica(&db).await;
        let storm = |released: usize, booked: usize| {
            let tasks = (0..released + booked).map(|place| {
                let desk = if place % 2 == 0 { desk.clone() } else { twin.clone() };
                tokio::spawn(async move {
                    let share = vec![monthly(&desk, 50)];
                    let (free, used) = if place < released { (share, vec![]) } else { (vec![], share) };
                    in_tx!(desk, [free, used], tx => tx.rebook(&free, &used, NOON).await).unwrap();
                })
            });
            tasks.collect::<Vec<_>>()
        };
        for task in storm(25, 0) {
            task.await.unwrap();
        }
        assert_eq!(counts(&db, "monthly").await, (25, 0));
        for task in storm(0, 40) {
            task.await.unwrap();
        }
        assert_eq!(counts(&db, "monthly").await, (50, 0), "a full row stays full");
        for task in storm(30, 30) {
            task.await.unwrap();
        }
        let (used, held) = counts(&db, "monthly").await;
        assert!((20..=50).contains(&used) && held == 0, "{used}");
        // Somebody who waits has what they hold.
        desk.reserve(&ways.iter().find(|way| !got_in.iter().any(|other| other.part() == way.part())).unwrap().clone(), &[monthly(&desk, 100)], NOON)
            .await
            .unwrap();
        for task in storm(60, 0) {
            task.await.unwrap();
        }
        assert_eq!(counts(&db, "monthly").await, (0, 1), "nothing is given back twice");
    }

    async fn of_120_takers_50_get_into_a_rolling_span(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 120).await;
        assert_eq!(take_all(&db, &desk, &ways, &rolling(&desk, 50)).await.len(), 50);
        assert_eq!(counts(&db, "rolled").await, (0, 50));
    }

    async fn of_120_people_50_get_in_and_cost_nothing_more(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 120).await;
        let wanted = people(&desk, 50);
        let got_in = take_all(&db, &desk, &ways, &wanted).await;
        assert_eq!((got_in.len(), counts(&db, "people").await), (50, (0, 50)));
        // A second message to each of all: only those who are counted get it.
        let talks: Vec<Talk> = ways.iter().map(|way| way.talk).collect();
        let second = desk.send_many(&talks, 1, Priority::Reply, NOON).await;
        let again = take_all(&db, &desk, &second, &wanted).await;
        let who = |ways: &[OnItsWay]| ways.iter().map(|way| way.talk.identity).collect::<BTreeSet<_>>();
        assert_eq!(who(&again), who(&got_in));
        assert_eq!(counts(&db, "people").await, (0, 50));
    }

    async fn a_storm_leaves_the_ledger_right(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let mut ways = ways(&desk, 60).await;
        // Two messages a person, as the ledger sees it.
        for place in (0..60).step_by(2) {
            ways[place].talk.identity = ways[place + 1].talk.identity;
        }
        let (limits, twin) = ((45, 25, 40), desk.replica(&db).await);
        let storm = ways.into_iter().enumerate().map(|(place, way)| {
            let desk = if place % 2 == 0 { desk.clone() } else { twin.clone() };
            tokio::spawn(async move {
                let mut wanted = [monthly(&desk, limits.0), people(&desk, limits.1), rolling(&desk, limits.2)];
                // Not everybody asks in the same order.
                wanted.rotate_left(place % 3);
                let (message, part, by) = (way.message, way.part(), desk.by());
                if desk.reserve(&way, &wanted, NOON).await.is_err() {
                    assert!(in_tx!(desk, [by], tx => tx.cancel_message(message, &by, NOON).await).unwrap());
                    return (0, 0);
                }
                while desk.begin(part, NOON).await.is_none() {
                    desk.claim_parts(NOON).await;
                }
                let (outcome, counted) = match place % 5 {
                    0 => (done(Outcome::Failed), (0, 0)),
                    1 => (done(Outcome::Unknown), (0, 1)),
                    _ => (sent(&part.to_string()), (1, 0)),
                };
                let settled = desk.settle(part, 1, outcome, NOON).await;
                assert!(matches!(settled, Settled::Done { .. }), "{settled:?}");
                counted
            })
        });
        let (mut used, mut held) = (0, 0);
        for ended in storm.collect::<Vec<_>>() {
            let (more_used, more_held) = ended.await.unwrap();
            (used, held) = (used + more_used, held + more_held);
        }
        assert!(used > 0 && held > 0);
        assert_eq!(counts(&db, "monthly").await, (used, held));
        assert_eq!(counts(&db, "rolled").await, (0, held));
        assert_eq!(rows(&db, "quota_reservations WHERE state = 'used'").await, used);
        let people = (
            rows(&db, "quota_recipients WHERE held = 0").await,
            rows(&db, "quota_recipients WHERE held > 0").await,
        );
        assert_eq!(counts(&db, "people").await, people);
        assert!(people.0 + people.1 <= 25);
    }

    async fn all_or_nothing(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 3).await;
        let many = |limit| vec![monthly(&desk, 10), people(&desk, 10), rolling(&desk, 10), of(QuotaScope::Identity(ways[0].talk.identity), "z", "ref 1", limit)];
        assert_eq!(desk.reserve(&ways[0], &many(0), NOON).await, Err(QuotaFull { quota: "z".into() }));
        assert_eq!(ledger(&db).await.values().copied().collect::<BTreeSet<_>>(), BTreeSet::from([(0, 0)]), "though it was committed");
        assert_eq!(rows(&db, "quota_reservations").await + rows(&db, "quota_recipients").await, 0);
        assert_eq!(desk.reserve(&ways[0], &many(1), NOON).await, Ok(()));
        assert_eq!(ledger(&db).await.values().copied().collect::<BTreeSet<_>>(), BTreeSet::from([(0, 1)]));
    }

    async fn what_becomes_of_a_part_becomes_of_its_share(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let wanted = [monthly(&desk, 100), people(&desk, 100), rolling(&desk, 100)];
        let outcomes = [
            (sent("p"), (1, 0)),
            (done(Outcome::Retry { due_at: NOON }), (0, 1)),
            (done(Outcome::Unknown), (0, 1)),
            (done(Outcome::Failed), (0, 0)),
            (done(Outcome::NotSent), (0, 0)),
        ];
        let (mut used, mut held) = (0, 0);
        for (settlement, (more_used, more_held)) in outcomes {
            let way = desk.reply(desk.talk().await).await;
            desk.reserve(&way, &wanted, NOON).await.unwrap();
            assert_eq!(counts(&db, "monthly").await, (used, held + 1));
            let claimed = desk.claim(ADA, 10, NOON).await;
            assert!(claimed.iter().any(|claimed| claimed.part == way.part() && claimed.holds_quota));
            desk.begin(way.part(), NOON).await.unwrap();
            desk.settle(way.part(), 1, settlement, NOON).await;
            (used, held) = (used + more_used, held + more_held);
            assert_eq!(counts(&db, "monthly").await, (used, held));
            assert_eq!(counts(&db, "people").await, (used, held));
            // What was used over a rolling span is the sum of its times.
            assert_eq!((counts(&db, "rolled").await, rows(&db, "quota_reservations WHERE state = 'used'").await), ((0, held), used));
        }
    }

    async fn what_is_withheld_or_withdrawn_is_given_back(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 4).await;
        for way in &ways {
            desk.reserve(way, &[monthly(&desk, 4), people(&desk, 4)], NOON).await.unwrap();
        }
        let (reason, by) = (json!({ "reason": "opted_out" }), desk.by());
        let (withheld, canceled, person) = (ways[0].part(), ways[1].message, ways[2].talk.identity);
        desk.claim(ADA, 1, NOON).await;
        assert!(in_tx!(desk, [reason], tx => tx.withhold(withheld, ADA, DeliveryState::NotSent, &reason, NOON).await).unwrap());
        assert!(in_tx!(desk, [by], tx => tx.cancel_message(canceled, &by, NOON).await).unwrap());
        assert_eq!(in_tx!(desk, [reason], tx => tx.cancel_queued_for(person, &reason, NOON).await).unwrap().len(), 1);
        assert_eq!((counts(&db, "monthly").await, counts(&db, "people").await), ((0, 1), (0, 1)));
        for _ in 0..3 {
            desk.claim_parts(NOON).await;
            lapse(&db).await;
            desk.storage.recover(&desk.scope, NOON, 10).await.unwrap();
        }
        assert_eq!(desk.state(&ways[3]).await, DeliveryState::NotSent, "poison");
        assert_eq!((counts(&db, "monthly").await, counts(&db, "people").await), ((0, 0), (0, 0)));
    }

    async fn an_unknown_one_holds_until_it_is_settled(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (by, wanted) = (desk.by(), [monthly(&desk, 10)]);
        let unknown = async || {
            let way = desk.reply(desk.talk().await).await;
            desk.reserve(&way, &wanted, NOON).await.unwrap();
            desk.claim_and_begin(way.part(), NOON).await;
            desk.settle(way.part(), 1, done(Outcome::Unknown), NOON).await;
            way
        };
        let choose = async |part, choice| in_tx!(desk, [by], tx => tx.settle_unknown(part, choice, &by, NOON).await).unwrap();
        let ways = [unknown().await, unknown().await, unknown().await, unknown().await];
        assert_eq!(counts(&db, "monthly").await, (0, 4));
        desk.receipt_with("p", Some(ways[0].part()), DeliveryState::Delivered).await;
        assert_eq!(counts(&db, "monthly").await, (1, 3));
        choose(ways[1].part(), Choice::Confirm).await;
        choose(ways[2].part(), Choice::GiveUp).await;
        assert_eq!(counts(&db, "monthly").await, (3, 1), "given up, and yet it may have arrived");
        choose(ways[3].part(), Choice::SendAgain).await;
        assert_eq!(counts(&db, "monthly").await, (4, 0));
        // Sent again it takes its share again, as dispatch asks for it.
        let claimed = desk.claim(ADA, 10, NOON).await;
        assert!(!claimed[0].holds_quota);
        assert_eq!(desk.move_to(&ways[3], &[monthly(&desk, 4)], NOON).await, Err(QuotaFull { quota: "monthly".into() }));
        assert_eq!(desk.move_to(&ways[3], &wanted, NOON).await, Ok(()));
        assert_eq!(counts(&db, "monthly").await, (4, 1));
        desk.begin(ways[3].part(), NOON).await.unwrap();
        desk.settle(ways[3].part(), 2, sent("p"), NOON).await;
        assert_eq!(counts(&db, "monthly").await, (5, 0));
    }

    async fn a_share_moves_when_the_month_turns(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 3).await;
        let november = [monthly(&desk, 2)];
        let december = [Reservation { period: "2026-12".into(), ..monthly(&desk, 1) }];
        desk.reserve(&ways[0], &november, NOON).await.unwrap();
        desk.reserve(&ways[1], &november, NOON).await.unwrap();
        let month = |ledger: &std::collections::BTreeMap<(String, String), (i64, i64)>, name: &str| {
            ledger.get(&("monthly".to_owned(), name.to_owned())).copied()
        };
        assert_eq!(desk.move_to(&ways[0], &november, NOON).await, Ok(()), "nothing has changed");
        assert_eq!(desk.move_to(&ways[0], &december, NOON).await, Ok(()));
        let now = ledger(&db).await;
        assert_eq!((month(&now, "2026-11"), month(&now, "2026-12")), (Some((0, 1)), Some((0, 1))));
        assert_eq!(desk.move_to(&ways[1], &december, NOON).await, Err(QuotaFull { quota: "monthly".into() }));
        let now = ledger(&db).await;
        assert_eq!((month(&now, "2026-11"), month(&now, "2026-12")), (Some((0, 1)), Some((0, 1))), "it keeps what it had");
        assert_eq!(desk.move_to(&ways[1], &[], NOON).await, Ok(()), "another right needs nothing");
        assert_eq!(desk.move_to(&ways[2], &december, NOON).await, Err(QuotaFull { quota: "monthly".into() }));
        assert_eq!(month(&ledger(&db).await, "2026-11"), Some((0, 0)));
    }

    async fn two_dispatchers_share_the_last_unit_of_a_month_that_turned(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 24).await;
        assert_eq!(take_all(&db, &desk, &ways, &monthly(&desk, 24)).await.len(), 24);
        let december = of(QuotaScope::Account(desk.account.id), "monthly", "2026-12", 1);
        let twin = desk.replica(&db).await;
        let (mine, yours) = (desk.claim(ADA, 12, NOON).await, twin.claim(BOB, 12, NOON).await);
        assert_eq!((mine.len(), yours.len()), (12, 12));
        let of_worker = |desk: &Desk, owner, claims: Vec<Claimed>| {
            let (desk, december) = (desk.clone(), december.clone());
            claims.into_iter().map(move |claimed| (desk.clone(), owner, claimed, december.clone())).collect::<Vec<_>>()
        };
        let all = of_worker(&desk, ADA, mine).into_iter().chain(of_worker(&twin, BOB, yours));
        let workers = all.map(|(desk, owner, claimed, december)| {
            tokio::spawn(async move {
                let (part, identity) = (claimed.part, claimed.identity);
                in_tx!(desk, [december], tx => {
                    tx.lock_identity(identity).await?;
                    match tx.move_reservation(part, identity, from_ref(&december), NOON).await? {
                        Ok(()) => tx.begin_sending(part, owner, LEASE, NOON).await,
                        Err(_) => Ok(None),
                    }
                })
                .unwrap()
            })
        });
        let mut begun = 0;
        for worker in workers.collect::<Vec<_>>() {
            begun += worker.await.unwrap().unwrap_or_default();
        }
        assert_eq!(begun, 1, "one of 24 may go");
        let ledger = ledger(&db).await;
        let of_month = |month: &str| ledger[&("monthly".to_owned(), month.to_owned())];
        assert_eq!((of_month("2026-12"), of_month("2026-11")), ((0, 1), (0, 23)), "the others keep what they had");
    }

    async fn a_part_that_does_not_wait_takes_nothing(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.reply(desk.talk().await).await;
        let (message, by) = (way.message, desk.by());
        in_tx!(desk, [by], tx => tx.cancel_message(message, &by, NOON).await).unwrap();
        assert_eq!(desk.move_to(&way, &[monthly(&desk, 9)], NOON).await, Ok(()));
        assert_eq!(counts(&db, "monthly").await, (0, 0));
    }

    async fn a_new_opening_begins_at_its_own_time(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let send = async |opening, limit, at| desk.spend(talk, &[since(talk, opening, limit)], at).await;
        let full = QuotaFull { quota: "count".into() };
        let minutes = |count| NOON + Duration::minutes(count);
        for minute in 1..=3 {
            send(NOON, 3, minutes(minute)).await.unwrap();
        }
        assert_eq!(send(NOON, 3, minutes(4)).await, Err(full.clone()));
        // Written before the third, told after it: one of the three belongs to it, two are left.
        let late = NOON + Duration::seconds(150);
        send(late, 3, minutes(5)).await.unwrap();
        send(late, 3, minutes(6)).await.unwrap();
        assert_eq!(send(late, 3, minutes(7)).await, Err(full.clone()), "a late event gives nothing back");
        send(minutes(8), 3, minutes(9)).await.unwrap();
        send(minutes(8), 3, minutes(9)).await.unwrap();
        send(minutes(8), 3, minutes(9)).await.unwrap();
        assert_eq!(send(minutes(8), 3, minutes(9)).await, Err(full));
        // An older event that comes last changes nothing that counts from later ones.
        assert_eq!(desk.reserve(&desk.reply(talk).await, &[since(talk, late, 3)], minutes(9)).await, Err(QuotaFull { quota: "count".into() }));
    }

    async fn what_is_on_its_way_counts_for_the_next_opening_too(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let wanted = |opening| [since(talk, opening, 2)];
        let (first, second) = (desk.sending(talk).await, desk.reply(talk).await);
        desk.reserve(&first, &wanted(NOON), NOON).await.unwrap();
        desk.reserve(&second, &wanted(NOON), NOON).await.unwrap();
        let wrote = NOON + seconds(5);
        assert_eq!(desk.move_to(&second, &wanted(wrote), NOON).await, Ok(()), "its own share is not in its way");
        let third = desk.reply(talk).await;
        assert!(desk.reserve(&third, &wanted(wrote), NOON).await.is_err());
        // The first was accepted before the customer wrote again: it belongs to the earlier opening.
        desk.settle(first.part(), 1, sent("p"), NOON + seconds(9)).await;
        assert_eq!(desk.reserve(&third, &wanted(wrote), NOON).await, Ok(()));
    }

    async fn a_rolling_span_frees_one_by_one(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 6).await;
        let use_at = async |way: &OnItsWay, at| {
            desk.reserve(way, &[rolling(&desk, 2)], at).await?;
            desk.claim_parts(at).await;
            desk.begin(way.part(), at).await.unwrap();
            desk.settle(way.part(), 1, sent(&way.part().to_string()), at).await;
            Ok::<_, QuotaFull>(())
        };
        let full = Err(QuotaFull { quota: "rolled".into() });
        assert_eq!(use_at(&ways[0], NOON).await, Ok(()));
        assert_eq!(use_at(&ways[1], NOON + Duration::HOUR).await, Ok(()));
        assert_eq!(desk.reserve(&ways[2], &[rolling(&desk, 2)], NOON + DAY - Duration::MILLISECOND).await, full);
        assert_eq!(desk.reserve(&ways[2], &[rolling(&desk, 2)], NOON + DAY).await, Ok(()));
        assert_eq!(desk.reserve(&ways[3], &[rolling(&desk, 2)], NOON + DAY).await, full);
        assert_eq!(desk.reserve(&ways[3], &[rolling(&desk, 2)], NOON + DAY + Duration::HOUR).await, Ok(()));
    }

    async fn people_leave_a_rolling_span_after_their_last_message(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talks = desk.talks_on(desk.account.id, 4).await;
        let wanted = [people(&desk, 2)];
        let send = async |talk, at| desk.spend(talk, &wanted, at).await;
        let full = Err(QuotaFull { quota: "people".into() });
        assert_eq!(send(talks[0], NOON).await, Ok(()));
        assert_eq!(send(talks[1], NOON + Duration::HOUR).await, Ok(()));
        assert_eq!(send(talks[2], NOON + Duration::hours(2)).await, full);
        assert_eq!(send(talks[0], NOON + Duration::hours(3)).await, Ok(()), "counted already");
        assert_eq!(send(talks[2], NOON + DAY).await, full, "the first got one since");
        assert_eq!(send(talks[2], NOON + DAY + Duration::HOUR).await, Ok(()), "the second did not");
        assert_eq!(send(talks[1], NOON + DAY + Duration::HOUR).await, full);
        // Whoever has one held counts, however long it takes.
        let held = desk.reply(talks[2]).await;
        desk.reserve(&held, &wanted, NOON + Duration::hours(26)).await.unwrap();
        assert_eq!(send(talks[3], NOON + Duration::hours(80)).await, Ok(()));
        assert_eq!(send(talks[0], NOON + Duration::hours(80)).await, full);
    }

    async fn a_refusal_uses_a_quota_up(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let ways = ways(&desk, 8).await;
        let use_up = async |reservation: &Reservation, at| {
            let reservation = reservation.clone();
            in_tx!(desk, [reservation], tx => tx.use_up(&reservation.scope, &reservation.quota, &reservation.period, at).await).unwrap();
        };
        let take = async |place: usize, reservation: Reservation, at| desk.reserve(&ways[place], &[reservation], at).await.is_ok();
        use_up(&monthly(&desk, 50), NOON).await;
        assert!(!take(0, monthly(&desk, 50), NOON).await);
        assert!(take(0, Reservation { period: "2026-12".into(), ..monthly(&desk, 50) }, NOON).await);
        use_up(&rolling(&desk, 50), NOON).await;
        assert!(!take(1, rolling(&desk, 50), NOON + DAY - seconds(1)).await);
        assert!(take(1, rolling(&desk, 50), NOON + DAY).await);
        use_up(&people(&desk, 50), NOON).await;
        assert!(!take(2, people(&desk, 50), NOON + DAY - seconds(1)).await);
        assert!(take(2, people(&desk, 50), NOON + DAY).await);
        use_up(&since(talk, NOON, 50), NOON + seconds(5)).await;
        assert!(!take(3, since(talk, NOON, 50), NOON + seconds(6)).await);
        assert!(take(3, since(talk, NOON + seconds(7), 50), NOON + seconds(8)).await, "the customer wrote again");
    }

    async fn what_the_platform_counts_is_never_less_than_what_we_know(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talk = desk.talk().await;
        let wanted = [monthly(&desk, 50)];
        let raise = async |used| {
            let row = wanted[0].clone();
            in_tx!(desk, [row], tx => tx.raise_used(&row.scope, &row.quota, &row.period, used, NOON).await).unwrap();
        };
        let full = Err(QuotaFull { quota: wanted[0].quota.clone() });
        raise(47).await;
        assert_eq!(desk.spend(talk, &wanted, NOON).await, Ok(()));
        raise(40).await;
        assert_eq!(desk.spend(talk, &wanted, NOON).await, Ok(()), "48 were used");
        raise(49).await;
        assert_eq!(desk.spend(talk, &wanted, NOON).await, Ok(()), "49 were used: the platform counts ours as well");
        assert_eq!(desk.spend(talk, &wanted, NOON).await, full);
        raise(60).await;
        assert_eq!(desk.spend(talk, &wanted, NOON).await, full);
        let next = [Reservation { period: "2026-12".into(), ..monthly(&desk, 50) }];
        assert_eq!(desk.spend(talk, &next, NOON).await, Ok(()));
    }

    async fn a_limit_is_learnt_from_two_people(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let account = desk.account.id;
        let talks = desk.talks_on(account, 3).await;
        let note = async |talk: Talk, observed| {
            in_tx!(desk, [], tx => tx.note_limit_evidence(account, "count", talk.identity, observed, NOON).await).unwrap()
        };
        assert!(!note(talks[0], 5).await);
        assert!(!note(talks[0], 5).await, "the same person proves no more");
        assert!(!note(talks[1], 20).await);
        assert!(note(talks[1], 5).await);
        let (one, two) = tokio::join!(note(talks[0], 7), note(talks[2], 7));
        assert!(one || two, "of two at once the second knows");
        let known = in_tx!(desk, [], tx => tx.limit_evidence(account).await).unwrap();
        let counts: Vec<u32> = known.iter().map(|evidence| evidence.refused_at_count).collect();
        assert_eq!((counts.len(), counts.iter().filter(|count| **count == 5).count()), (5, 2));
        in_tx!(desk, [], tx => tx.forget_limit_evidence(account, ["count"]).await).unwrap();
        assert!(!note(talks[0], 5).await, "a person has said what the limit is");
    }

    async fn a_rolling_quota_needs_its_window(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.reply(desk.talk().await).await;
        let wanted = Reservation { counting: Counting::Recipients, ..rolling(&desk, 5) };
        let (part, identity) = (way.part(), way.talk.identity);
        let refused = in_tx!(desk, [wanted], tx => tx.reserve(part, identity, &[wanted], NOON).await);
        assert!(matches!(refused, Err(StorageError::Config(_))), "{refused:?}");
    }

    async fn old_counts_are_forgotten(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let way = desk.reply(desk.talk().await).await;
        desk.reserve(&way, &[monthly(&desk, 5), rolling(&desk, 5)], NOON).await.unwrap();
        let purge = async || in_tx!(desk, [], tx => tx.purge_quotas(NOON + DAY, 10).await).unwrap();
        assert_eq!(purge().await, 0, "something is held");
        desk.claim_and_begin(way.part(), NOON).await;
        desk.settle(way.part(), 1, sent("p"), NOON).await;
        assert_eq!(purge().await, 3, "a time and two rows");
        assert!(ledger(&db).await.is_empty());
    }

    async fn the_engine_sees_the_ledger_of_an_account(db: TestDatabase) {
        let mut desk = Desk::open(&db).await;
        desk.account.limits.insert("monthly_messages".into(), Some(4));
        let line = policy("line");
        let ways = ways(&desk, 3).await;
        let quota = line.quotas().iter().find(|quota| quota.scope() == transom_windows::Scope::Account).unwrap().name().to_owned();
        desk.account.limits.insert(quota.clone(), Some(4));
        let mut wanted = of(QuotaScope::Account(desk.account.id), &quota, "2026-11", 4);
        wanted.cost = 2;
        desk.reserve(&ways[0], from_ref(&wanted), NOON).await.unwrap();
        desk.reserve(&ways[1], from_ref(&wanted), NOON).await.unwrap();
        desk.claim_parts(NOON).await;
        desk.begin(ways[0].part(), NOON).await.unwrap();
        desk.settle(ways[0].part(), 1, sent("p"), NOON).await;

        let facts = async |part, now| {
            desk.reader().quota_facts(&desk.account, ways[1].talk.identity, &line, part, now).await.unwrap()
        };
        let usage = facts(None, NOON).await.quotas[&quota].clone();
        assert_eq!((usage.used, usage.period.as_deref()), (4, Some("2026-11")), "used and held");
        assert_eq!(facts(Some(ways[1].part()), NOON).await.quotas[&quota].used, 2, "its own share is not in its way");
        // A month ends in the quota's own zone (+09:00).
        assert!(!facts(None, datetime!(2026-11-30 14:59:59 UTC)).await.quotas.is_empty());
        assert!(facts(None, datetime!(2026-11-30 15:00 UTC)).await.quotas.is_empty());

        let decide = async |part| {
            let snapshot = Snapshot { account: facts(part, NOON).await, ..Snapshot::default() };
            let (mut known, dropped) = Facts::restore(Subject::new(7), &line, &snapshot);
            assert!(dropped.iter().all(|name| name.name == "monthly_messages"), "{dropped:?}");
            known.apply(&line, &Event { at: NOON - DAY, what: What::Opening { kind: "follow".into(), reference: None } }).unwrap();
            !line.decide(&known, Ask::by(Sender::Human).cost(2), NOON).permits().is_empty()
        };
        assert!(!decide(None).await, "the month is used up");
        assert!(decide(Some(ways[1].part())).await, "what holds a share may use it");
    }

    async fn the_engine_sees_distinct_people(db: TestDatabase) {
        let mut desk = Desk::open(&db).await;
        desk.account.quota_group = Some("portfolio".into());
        let whatsapp = policy("whatsapp");
        let talks = desk.talks_on(desk.account.id, 3).await;
        let ways = desk.send_many(&talks, 1, Priority::Reply, NOON).await;
        let wanted = Reservation {
            counting: Counting::DistinctRecipients { window: DAY },
            ..of(QuotaScope::Group("portfolio".into()), "messaging_limit", "rolling", 2)
        };
        desk.reserve(&ways[0], from_ref(&wanted), NOON).await.unwrap();
        desk.reserve(&ways[1], from_ref(&wanted), NOON).await.unwrap();
        desk.claim_parts(NOON).await;
        desk.begin(ways[0].part(), NOON).await.unwrap();
        desk.settle(ways[0].part(), 1, sent("p"), NOON).await;
        let usage = async |talk: Talk, part, now| {
            let facts = desk.reader().quota_facts(&desk.account, talk.identity, &whatsapp, part, now).await.unwrap();
            facts.quotas["messaging_limit"].clone()
        };
        let stranger = usage(talks[2], None, NOON).await;
        assert_eq!((stranger.used, stranger.counts_me, stranger.frees_at), (2, false, Some(NOON + DAY)));
        assert!(usage(talks[0], None, NOON).await.counts_me, "got one");
        assert!(usage(talks[1], None, NOON).await.counts_me, "has one held");
        let own = usage(talks[1], Some(ways[1].part()), NOON).await;
        assert_eq!((own.used, own.counts_me), (1, false));
        let later = usage(talks[0], None, NOON + DAY).await;
        assert_eq!((later.used, later.counts_me, later.frees_at), (1, false, None), "whose time is over does not count");
        assert!(usage(talks[1], None, NOON + DAY).await.counts_me, "held is held");
        for now in [NOON, NOON + DAY] {
            a_page_says_the_same(&desk, &talks, &whatsapp, now).await;
        }
    }

    async fn the_engine_sees_rolling_spans_and_what_a_person_holds(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let ways = ways(&desk, 2).await;
        let email = policy("email");
        let name = email.quotas()[0].name().to_owned();
        let wanted = Reservation { quota: name.clone(), ..rolling(&desk, 9) };
        for way in &ways {
            desk.reserve(way, from_ref(&wanted), NOON).await.unwrap();
        }
        desk.claim_parts(NOON).await;
        desk.begin(ways[0].part(), NOON).await.unwrap();
        desk.settle(ways[0].part(), 1, sent("p"), NOON + seconds(9)).await;
        let facts = desk.reader().quota_facts(&desk.account, ways[0].talk.identity, &email, None, NOON).await.unwrap();
        assert_eq!((facts.quotas[&name].used, facts.quotas[&name].frees_at), (2, Some(NOON + DAY)));
        let facts = desk.reader().quota_facts(&desk.account, ways[0].talk.identity, &email, None, NOON + DAY).await.unwrap();
        assert_eq!(facts.quotas[&name].used, 1);
        a_page_says_the_same(&desk, &[ways[0].talk, ways[1].talk], &email, NOON).await;

        // What a person used the engine counts itself; only what is held is told.
        let webchat = policy("webchat");
        let quota = webchat.quotas()[0].name().to_owned();
        let talk = desk.talk().await;
        let mine = Reservation { counting: Counting::Rolling { window: DAY }, ..of(QuotaScope::Identity(talk.identity), &quota, "rolling", 5) };
        let (used, held) = (desk.reply(talk).await, desk.reply(talk).await);
        desk.reserve(&used, from_ref(&mine), NOON).await.unwrap();
        desk.reserve(&held, from_ref(&mine), NOON).await.unwrap();
        desk.claim_and_begin(used.part(), NOON).await;
        desk.settle(used.part(), 1, sent("w"), NOON).await;
        let facts = desk.reader().quota_facts(&desk.account, talk.identity, &webchat, None, NOON).await.unwrap();
        assert_eq!(facts.quotas[&quota].used, 1);
        a_page_says_the_same(&desk, &[talk, ways[0].talk], &webchat, NOON).await;
    }

    async fn the_engine_sees_the_account_itself(db: TestDatabase) {
        let mut desk = Desk::open(&db).await;
        desk.account.suspended = Some("restricted".into());
        desk.account.features.insert("marketing_disabled".into());
        desk.account.country = Some("AT".into());
        desk.account.limits.insert("messaging_limit".into(), None);
        let account = desk.account.id;
        let whatsapp = policy("whatsapp");
        let definition = |name: &str, category: &str, status| TemplateDefinition {
            provider_id: name.into(),
            name: name.into(),
            language: "en".into(),
            category: category.into(),
            status,
            provider_status: String::new(),
            header: None,
            body: "hello".into(),
            footer: None,
            buttons: Vec::new(),
        };
        let templates = [
            definition("a", "utility", TemplateStatus::Approved),
            definition("b", "marketing", TemplateStatus::Rejected),
        ];
        in_tx!(desk, [templates], tx => tx.upsert_templates(account, &templates, &UuidV7, NOON).await).unwrap();
        let talk = desk.talk().await;
        let facts = desk.reader().quota_facts(&desk.account, talk.identity, &whatsapp, None, NOON).await.unwrap();
        assert_eq!(facts.templates, Some(BTreeSet::from([Category::Utility])));
        assert_eq!(facts.suspended.as_deref(), Some("restricted"));
        assert_eq!(facts.country.map(|country| country.to_string()).as_deref(), Some("AT"));
        assert!(facts.features.contains("marketing_disabled") && facts.quotas.is_empty());
        assert_eq!(facts.limits["messaging_limit"], None, "no limit at all");

        // What the platform says is used up leaves no room, whatever the limit.
        let scope = QuotaScope::Account(account);
        in_tx!(desk, [scope], tx => tx.use_up(&scope, "messaging_limit", "rolling", NOON).await).unwrap();
        let facts = async |now| {
            desk.reader().quota_facts(&desk.account, talk.identity, &whatsapp, None, now).await.unwrap()
        };
        let now = facts(NOON).await;
        assert_eq!(now.limits["messaging_limit"], Some(now.quotas["messaging_limit"].used));
        assert_eq!(now.quotas["messaging_limit"].frees_at, Some(NOON + DAY));
        a_page_says_the_same(&desk, &[talk], &whatsapp, NOON).await;
        assert_eq!(facts(NOON + DAY).await.limits["messaging_limit"], None);
    }

    /// Accounts of one group share a row of the ledger; limits, templates and policies are each one's own.
    async fn people_of_several_accounts_are_asked_for_at_once(db: TestDatabase) {
        let mut desk = Desk::open(&db).await;
        desk.account.quota_group = Some("portfolio".into());
        let people: Vec<IdentityId> =
            desk.talks_on(desk.account.id, 3).await.iter().map(|talk| talk.identity).collect();
        let (whatsapp, webchat) = (policy("whatsapp"), policy("webchat"));
        let another = || ChannelAccount { id: ChannelAccountId::new(&UuidV7), ..desk.account.clone() };
        let smaller = ChannelAccount { limits: [("messaging_limit".to_owned(), Some(7))].into(), ..another() };
        let chat = another();
        let asked = [
            PeopleOf { account: &desk.account, policy: &whatsapp, identities: &people[..1] },
            PeopleOf { account: &smaller, policy: &whatsapp, identities: &people[1..2] },
            PeopleOf { account: &chat, policy: &webchat, identities: &people[2..] },
        ];
        let reader = desk.reader();
        let (_, all) = statements::counted(reader.quota_facts_of(&asked, NOON)).await;
        let (_, one) = statements::counted(reader.quota_facts_of(&asked[..1], NOON)).await;
        assert_eq!((all, one), (2, 2));

        let definition = TemplateDefinition {
            provider_id: "a".into(),
            name: "a".into(),
            language: "en".into(),
            category: "utility".into(),
            status: TemplateStatus::Approved,
            provider_status: String::new(),
            header: None,
            body: "hello".into(),
            footer: None,
            buttons: Vec::new(),
        };
        let (account, scope) = (desk.account.id, QuotaScope::Group("portfolio".into()));
        in_tx!(desk, [definition], tx => tx.upsert_templates(account, &[definition], &UuidV7, NOON).await).unwrap();
        in_tx!(desk, [scope], tx => tx.use_up(&scope, "messaging_limit", "rolling", NOON).await).unwrap();
        let page = reader.quota_facts_of(&asked, NOON).await.unwrap();
        for of in asked {
            for id in of.identities {
                assert_eq!(page[id], reader.quota_facts(of.account, *id, of.policy, None, NOON).await.unwrap());
            }
        }
        let [first, second, third] = [0, 1, 2].map(|place| &page[&people[place]]);
        assert_eq!(first.templates, Some(BTreeSet::from([Category::Utility])));
        assert_eq!(second.templates, Some(BTreeSet::new()));
        assert_eq!((second.limits["messaging_limit"], third.templates.clone()), (Some(7), None));
        assert_eq!(first.quotas["messaging_limit"].frees_at, Some(NOON + DAY));
        assert!(third.quotas.is_empty());
    }
}
