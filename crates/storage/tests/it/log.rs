//! What comes in and what is told, on both databases: journal, dedupe, quarantine, idempotency, events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration as StdDuration;

use bytes::Bytes;
use serde_json::json;
use time::{Duration, OffsetDateTime};
use transom_domain::*;
use transom_storage::test_support::NOON;
use transom_storage::*;

fn call(body: &str, received_at: OffsetDateTime) -> NewCall {
    NewCall {
        id: JournalId::new(&UuidV7),
        connection: ConnectionId::new(&UuidV7),
        account: None,
        source: CallSource::Webhook,
        headers: vec![("content-type".into(), "application/json".into())],
        body: Bytes::copy_from_slice(body.as_bytes()),
        received_at,
    }
}

fn event(kind: &str) -> NewEvent {
    NewEvent {
        id: EventId::new(&UuidV7),
        kind: kind.into(),
        conversation: None,
        contact: None,
        data: json!({"n": 1}),
        at: NOON,
    }
}

async fn emit(storage: &Storage, scope: &WorkspaceScope, event: NewEvent) -> Result<(), StorageError> {
    storage
        .transact(scope, move |tx| {
            let event = event.clone();
            Box::pin(async move { tx.emit(&event).await })
        })
        .await
}

/// Waits until `count` events have numbers: at once on SQLite, a moment later on PostgreSQL.
async fn numbered(storage: &Storage, scope: &WorkspaceScope, count: u64) {
    for _ in 0..4_000 {
        if storage.reader(scope).last_event_seq().await.unwrap() >= count {
            return;
        }
        tokio::time::sleep(StdDuration::from_millis(5)).await;
    }
    panic!("{} of {count} events have numbers", storage.reader(scope).last_event_seq().await.unwrap());
}

both_databases! {
    async fn the_journal_keeps_bytes_and_order(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let calls: Vec<NewCall> = (0..20).map(|n| call(&format!("{{\"n\":{n},\"ü\":\"\u{0}\"}}"), NOON)).collect();
        for call in calls.iter().rev() {
            storage.append_call(&scope, call).await.unwrap();
            // The answer to the first was lost: once is enough.
            storage.append_call(&scope, call).await.unwrap();
        }
        assert_eq!(storage.scopes_with_unapplied_journal().await.unwrap(), std::slice::from_ref(&scope));
        let first = calls[0].clone();
        storage
            .transact::<(), StorageError, _>(&scope, move |tx| {
                let calls = calls.clone();
                Box::pin(async move {
                    let waiting = tx.lock_unapplied(Waiting::All, 100).await?;
                    assert_eq!(waiting.iter().map(|w| &w.call).collect::<Vec<_>>(), calls.iter().collect::<Vec<_>>());
                    for call in &calls {
                        assert!(tx.finish_call(call.id, CallOutcome::Applied, &json!({"items": 1}), NOON).await?);
                        assert!(!tx.finish_call(call.id, CallOutcome::Quarantined, &json!({}), NOON).await?);
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
        assert!(storage.scopes_with_unapplied_journal().await.unwrap().is_empty());
        assert_eq!(storage.reader(&scope).oldest_unapplied().await.unwrap(), None);
        let kept = storage.reader(&scope).call(first.id).await.unwrap().unwrap();
        assert_eq!((&kept.call, kept.outcome), (&first, Some(CallOutcome::Applied)));
        assert_eq!(kept.summary, Some(json!({"items": 1})));
    }

    async fn what_was_left_is_taken_together_once_and_then_alone(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let calls: Vec<NewCall> = (0..4).map(|n| call(&n.to_string(), NOON)).collect();
        for call in &calls {
            storage.append_call(&scope, call).await.unwrap();
        }
        let ids: Vec<JournalId> = calls.iter().map(|call| call.id).collect();
        let sparing = async |last: JournalId, ttl: Duration, spared: Option<u32>| {
            storage
                .transact::<_, StorageError, _>(&scope, move |tx| {
                    Box::pin(async move { tx.take_left(last, 100, ttl, spared).await })
                })
                .await
                .unwrap()
        };
        let take = async |last: JournalId, ttl: Duration| sparing(last, ttl, None).await;
        let minute = Duration::MINUTE;
        assert_eq!(take(ids[2], Duration::ZERO).await, Left { taken: ids[..3].to_vec(), others: false });
        assert_eq!(sparing(ids[2], Duration::ZERO, Some(1)).await, Left { taken: vec![], others: true });
        // Whoever took them died: now one by one, and nobody else gets that one meanwhile.
        assert_eq!(take(ids[2], minute).await, Left { taken: vec![ids[0]], others: false });
        assert_eq!(take(ids[2], minute).await, Left { taken: vec![ids[1]], others: false });
        assert_eq!(take(ids[2], minute).await, Left { taken: vec![ids[2]], others: false });
        assert_eq!(take(ids[2], minute).await, Left { taken: vec![], others: true });
        assert_eq!(take(ids[3], minute).await, Left { taken: vec![ids[3]], others: false });
        let counts = async |which: Option<JournalId>| {
            storage
                .transact::<_, StorageError, _>(&scope, move |tx| {
                    Box::pin(async move {
                        let which = which.map_or(Waiting::All, Waiting::After);
                        let waiting = tx.lock_unapplied(which, 100).await?;
                        Ok(waiting.iter().map(|call| call.crashes).collect::<Vec<_>>())
                    })
                })
                .await
                .unwrap()
        };
        assert_eq!(counts(None).await, [2, 2, 2, 1]);
        assert_eq!(counts(Some(ids[2])).await, [1]);
        let last = storage
            .transact::<_, StorageError, _>(&scope, |tx| Box::pin(async move { tx.last_unapplied().await }))
            .await;
        assert_eq!(last.unwrap(), Some(ids[3]));
    }

    async fn many_webhooks_at_once_are_all_journalled(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let appending: Vec<_> = (0..500)
            .map(|n| {
                let (storage, scope) = (storage.clone(), scope.clone());
                tokio::spawn(async move { storage.append_call(&scope, &call(&n.to_string(), NOON)).await })
            })
            .collect();
        for appending in appending {
            appending.await.unwrap().unwrap();
        }
        let waiting = storage
            .transact::<_, StorageError, _>(&scope, |tx| Box::pin(async move { tx.lock_unapplied(Waiting::All, 1_000).await }))
            .await
            .unwrap();
        assert_eq!(waiting.len(), 500);
        assert!(waiting.is_sorted_by_key(|w| w.call.id));
    }

    async fn replicas_never_hold_the_same_call(db: TestDatabase) {
        let (one, two) = (db.open().await, db.open().await);
        let scope = db.workspace(&one, "Acme").await;
        for n in 0..40 {
            one.append_call(&scope, &call(&n.to_string(), NOON)).await.unwrap();
        }
        let apply = |storage: Storage, scope: WorkspaceScope| async move {
            let mut applied = Vec::new();
            loop {
                let batch = storage
                    .transact::<_, StorageError, _>(&scope, |tx| {
                        Box::pin(async move {
                            let batch = tx.lock_unapplied(Waiting::All, 5).await?;
                            for waiting in &batch {
                                let summary = json!({});
                                assert!(tx.finish_call(waiting.call.id, CallOutcome::Applied, &summary, NOON).await?);
                            }
                            Ok(batch)
                        })
                    })
                    .await
                    .unwrap();
                if batch.is_empty() {
                    return applied;
                }
                applied.extend(batch.into_iter().map(|waiting| waiting.call.id));
            }
        };
        let (a, b) = tokio::join!(apply(one.clone(), scope.clone()), apply(two, scope.clone()));
        let mut all: Vec<_> = a.into_iter().chain(b).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        // What one replica held when the other looked is applied by the one that held it.
        assert_eq!((all.len(), count), (40, 40));
    }

    async fn a_pull_and_its_cursor_are_stored_together(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let connection = Connection { id: ConnectionId::new(&UuidV7), platform: "email".into(), name: "box".into() };
        let account = ChannelAccount {
            id: ChannelAccountId::new(&UuidV7), connection: connection.id, platform: "email".into(), policy: "email".into(),
            name: "box".into(), external_key: "a@b.example".into(), features: BTreeSet::new(), limits: BTreeMap::new(),
            quota_group: None, country: None, enabled: true, suspended: None, removed_at: None,
        };
        let id = account.id;
        storage
            .transact::<(), StorageError, _>(&scope, move |tx| {
                let (connection, account) = (connection.clone(), account.clone());
                Box::pin(async move {
                    tx.put_connection(&connection, &json!({}), NOON).await?;
                    tx.put_account(&account, NOON).await?;
                    let mail = NewCall { source: CallSource::Pull, account: Some(account.id), ..call("mail", NOON) };
                    tx.append_call(&mail).await?;
                    tx.put_pull_cursor(account.id, "7:41", NOON).await?;
                    tx.put_pull_cursor(account.id, "7:42", NOON).await
                })
            })
            .await
            .unwrap();
        assert_eq!(storage.reader(&scope).pull_cursor(id).await.unwrap().as_deref(), Some("7:42"));
        assert_eq!(storage.reader(&scope).oldest_unapplied().await.unwrap(), Some(NOON));
    }

    async fn old_calls_go_and_waiting_ones_stay(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let (old, waiting, young) = (call("old", NOON), call("waiting", NOON), call("young", NOON + Duration::HOUR));
        for call in [&old, &waiting, &young] {
            storage.append_call(&scope, call).await.unwrap();
        }
        let ids = [old.id, young.id];
        let purged = storage
            .transact::<_, StorageError, _>(&scope, move |tx| {
                Box::pin(async move {
                    for id in ids {
                        tx.finish_call(id, CallOutcome::Applied, &json!({}), NOON).await?;
                    }
                    tx.purge_calls(NOON + Duration::MINUTE, 100).await
                })
            })
            .await
            .unwrap();
        assert_eq!(purged, 1);
        assert!(storage.reader(&scope).call(old.id).await.unwrap().is_none());
        assert!(storage.reader(&scope).call(waiting.id).await.unwrap().is_some());
        assert!(storage.reader(&scope).call(young.id).await.unwrap().is_some());
    }

    /// P7: of many who see the same event, one applies it; a rolled back one did not see it.
    async fn one_event_is_seen_once(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let account = ChannelAccountId::new(&UuidV7);
        let rolled_back: Result<bool, StorageError> = storage
            .transact(&scope, move |tx| {
                Box::pin(async move {
                    assert!(tx.first_sight(account, "e1", None, NOON).await?);
                    assert!(!tx.first_sight(account, "e1", None, NOON).await?);
                    Err(StorageError::Timeout)
                })
            })
            .await;
        assert!(rolled_back.is_err());
        let seeing: Vec<_> = (0..30)
            .map(|_| {
                let (storage, scope) = (storage.clone(), scope.clone());
                tokio::spawn(async move {
                    storage
                        .transact::<_, StorageError, _>(&scope, move |tx| {
                            Box::pin(async move { tx.first_sight(account, "e1", Some(NOON), NOON).await })
                        })
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut first = 0;
        for seeing in seeing {
            first += u32::from(seeing.await.unwrap());
        }
        assert_eq!(first, 1);
        let other = ChannelAccountId::new(&UuidV7);
        let (elsewhere, purged, again) = storage
            .transact::<_, StorageError, _>(&scope, move |tx| {
                Box::pin(async move {
                    let elsewhere = tx.first_sight(other, "e1", None, NOON).await?;
                    let purged = tx.purge_dedupe(NOON + Duration::SECOND, 100).await?;
                    Ok((elsewhere, purged, tx.first_sight(account, "e1", None, NOON).await?))
                })
            })
            .await
            .unwrap();
        assert!(elsewhere, "another account's key is another key");
        assert_eq!(purged, 1, "kept for good without an end");
        assert!(again);
    }

    /// A proof that covers no words can't be put under others.
    async fn a_proof_is_good_for_one_call_and_its_repeats(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let (here, elsewhere) = (ConnectionId::new(&UuidV7), ConnectionId::new(&UuidV7));
        let taken = |connection, said: &'static [u8]| {
            let (storage, scope) = (storage.clone(), scope.clone());
            async move {
                storage
                    .transact::<_, StorageError, _>(&scope, move |tx| {
                        Box::pin(async move { tx.take_proof(connection, "t1", said, NOON).await })
                    })
                    .await
                    .unwrap()
            }
        };
        assert!(taken(here, b"a mail").await);
        assert!(taken(here, b"a mail").await, "the platform tries again");
        assert!(!taken(here, b"another").await);
        assert!(taken(elsewhere, b"another").await, "of another connection it is another proof");
        let purged = storage
            .transact::<_, StorageError, _>(&scope, |tx| {
                Box::pin(async move {
                    assert_eq!(tx.purge_proofs(NOON, 100).await?, 0);
                    tx.purge_proofs(NOON + Duration::SECOND, 100).await
                })
            })
            .await
            .unwrap();
        assert_eq!(purged, 2);
        assert!(taken(here, b"another").await);
    }

    async fn quarantine_is_listed_until_settled(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let entries: Vec<NewQuarantine> = (0..3)
            .map(|n| NewQuarantine {
                id: QuarantineId::new(&UuidV7), journal: JournalId::new(&UuidV7), connection: None,
                account: None, item: Some(json!({"n": n})),
                reason: "unknown_shape".into(), detail: "no `messages`".into(), at: NOON,
            })
            .collect();
        let put = entries.clone();
        storage
            .transact::<(), StorageError, _>(&scope, move |tx| {
                let entries = put.clone();
                Box::pin(async move {
                    for entry in &entries {
                        tx.quarantine(entry).await?;
                    }
                    assert!(tx.settle_quarantine(entries[1].id, QuarantineState::Replayed, NOON).await?);
                    assert!(!tx.settle_quarantine(entries[1].id, QuarantineState::Dropped, NOON).await?);
                    Ok(())
                })
            })
            .await
            .unwrap();
        let reader = storage.reader(&scope);
        assert_eq!(reader.quarantine_count().await.unwrap(), 2);
        let page = reader.quarantine_page(&QuarantineQuery::default(), None, 1).await.unwrap();
        assert_eq!(page[0].entry, entries[0]);
        let rest = reader.quarantine_page(&QuarantineQuery::default(), Some(entries[0].id), 10).await.unwrap();
        assert_eq!(rest.iter().map(|entry| entry.entry.id).collect::<Vec<_>>(), [entries[2].id]);
        let settled = reader.quarantined(entries[1].id).await.unwrap().unwrap();
        assert_eq!((settled.state, settled.settled_at), (QuarantineState::Replayed, Some(NOON)));
    }

    async fn a_repeated_request_gets_the_stored_answer(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let key = IdempotencyKey {
            actor: AgentId::new(&UuidV7), route: "POST /v1/x".into(), key: "k".into(), fingerprint: [1; 32],
        };
        // Thirty at once: one does it, the others are told what it answered.
        let asking: Vec<_> = (0..30_u8)
            .map(|n| {
                let (storage, scope, key) = (storage.clone(), scope.clone(), key.clone());
                tokio::spawn(async move {
                    storage
                        .transact::<_, StorageError, _>(&scope, move |tx| {
                            let key = key.clone();
                            Box::pin(async move {
                                let known = tx.begin_idempotent(&key, None, NOON).await?;
                                if known == Idempotency::Fresh {
                                    tx.finish_idempotent(&key, &StoredAnswer { status: 202, body: vec![n] }).await?;
                                }
                                Ok(known)
                            })
                        })
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut answers = Vec::new();
        for asking in asking {
            answers.push(asking.await.unwrap());
        }
        assert_eq!(answers.iter().filter(|answer| **answer == Idempotency::Fresh).count(), 1);
        let replayed: Vec<_> = answers.iter().filter(|answer| **answer != Idempotency::Fresh).collect();
        assert!(replayed.iter().all(|answer| matches!(answer, Idempotency::Replay(a) if a.status == 202)), "{replayed:?}");
        assert!(replayed.windows(2).all(|pair| pair[0] == pair[1]));

        let ask = |key: IdempotencyKey, running_until: Option<OffsetDateTime>, now: OffsetDateTime| {
            let (storage, scope) = (storage.clone(), scope.clone());
            async move {
                storage
                    .transact::<_, StorageError, _>(&scope, move |tx| {
                        let key = key.clone();
                        Box::pin(async move { tx.begin_idempotent(&key, running_until, now).await })
                    })
                    .await
                    .unwrap()
            }
        };
        let other_body = IdempotencyKey { fingerprint: [2; 32], ..key.clone() };
        assert_eq!(ask(other_body, None, NOON).await, Idempotency::OtherBody);
        let other_actor = IdempotencyKey { actor: AgentId::new(&UuidV7), ..key.clone() };
        assert_eq!(ask(other_actor, None, NOON).await, Idempotency::Fresh);

        let long = IdempotencyKey { key: "long".into(), ..key };
        let until = Some(NOON + Duration::MINUTE);
        assert_eq!(ask(long.clone(), until, NOON).await, Idempotency::Fresh);
        assert_eq!(ask(long.clone(), until, NOON).await, Idempotency::Running);
        let later = NOON + Duration::MINUTE;
        let again = Some(later + Duration::MINUTE);
        assert_eq!(ask(long.clone(), again, later).await, Idempotency::Fresh, "whoever had it is gone");
        assert_eq!(ask(long, again, later).await, Idempotency::Running);
    }

    async fn a_rolled_back_request_leaves_no_key(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let key = IdempotencyKey { actor: AgentId::new(&UuidV7), route: "r".into(), key: "k".into(), fingerprint: [1; 32] };
        for _ in 0..2 {
            let key = key.clone();
            let refused: Result<(), StorageError> = storage
                .transact(&scope, move |tx| {
                    let key = key.clone();
                    Box::pin(async move {
                        assert_eq!(tx.begin_idempotent(&key, None, NOON).await?, Idempotency::Fresh);
                        Err(StorageError::Timeout)
                    })
                })
                .await;
            assert!(refused.is_err());
        }
    }

    /// P10: under many writers, some of which roll back, numbers have no gap and no repeat, and a reader that follows them
    /// never misses an event that gets a number below its place.
    async fn numbers_have_no_gap_and_nothing_comes_late(db: TestDatabase) {
        const WRITERS: u64 = 8;
        const EACH: u64 = 40;
        let (one, two) = (db.open().await, db.open().await);
        let scope = db.workspace(&one, "Acme").await;
        let other = db.workspace(&one, "Other").await;
        emit(&one, &other, event("elsewhere")).await.unwrap();

        let mut writing = Vec::new();
        for writer in 0..WRITERS {
            let storage = if writer % 2 == 0 { one.clone() } else { two.clone() };
            let scope = scope.clone();
            writing.push(tokio::spawn(async move {
                for n in 0..EACH {
                    let event = event(&format!("{writer}:{n}"));
                    let done = storage
                        .transact::<(), StorageError, _>(&scope, move |tx| {
                            let event = event.clone();
                            Box::pin(async move {
                                tx.emit(&event).await?;
                                // Some commit late, some never.
                                if n % 5 == 0 {
                                    tokio::time::sleep(StdDuration::from_millis(3)).await;
                                }
                                if n % 4 == 3 { Err(StorageError::Timeout) } else { Ok(()) }
                            })
                        })
                        .await;
                    assert_eq!(done.is_err(), n % 4 == 3);
                }
            }));
        }
        let follower = {
            let (storage, scope) = (two.clone(), scope.clone());
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while (seen.len() as u64) < WRITERS * EACH * 3 / 4 {
                    let after = seen.last().map_or(0, |event: &NumberedEvent| event.seq);
                    seen.extend(storage.reader(&scope).events_after(after, 7).await.unwrap());
                    tokio::time::sleep(StdDuration::from_millis(1)).await;
                }
                seen
            })
        };
        for writing in writing {
            writing.await.unwrap();
        }
        let seen = tokio::time::timeout(StdDuration::from_mins(1), follower).await.unwrap().unwrap();
        let seqs: Vec<u64> = seen.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (1..=WRITERS * EACH * 3 / 4).collect::<Vec<_>>());
        let mut kinds: Vec<_> = seen.iter().map(|event| &event.event.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), seqs.len(), "an event was told twice");
        // One writer's events keep their order.
        for writer in 0..WRITERS {
            let mine = |event: &&NumberedEvent| event.event.kind.starts_with(&format!("{writer}:"));
            let numbers = seen.iter().filter(mine).map(|event| event.event.kind[2..].parse::<u64>().unwrap());
            assert!(numbers.is_sorted(), "writer {writer}");
        }
        assert_eq!(one.reader(&other).last_event_seq().await.unwrap(), 1);
    }

    /// A replica that died right after its commit: another one numbers what it left.
    async fn events_of_a_dead_replica_are_numbered(db: TestDatabase) {
        let dead = db.open().await;
        let scope = db.workspace(&dead, "Acme").await;
        emit(&dead, &scope, event("last words")).await.unwrap();
        dead.close().await.unwrap();
        let alive = db.open().await;
        numbered(&alive, &scope, 1).await;
        assert_eq!(alive.reader(&scope).events_after(0, 10).await.unwrap()[0].event.kind, "last words");
    }

    /// More than one transaction numbers: it goes on, in their order and without a gap.
    async fn many_events_of_one_commit_are_all_numbered(db: TestDatabase) {
        const MANY: u64 = 5_000;
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let events: Vec<NewEvent> = (0..MANY).map(|n| event(&n.to_string())).collect();
        let committed: Result<(), StorageError> = storage
            .transact(&scope, move |tx| {
                let events = events.clone();
                Box::pin(async move { tx.emit_all(&events).await })
            })
            .await;
        committed.unwrap();
        numbered(&storage, &scope, MANY).await;
        let told = storage.reader(&scope).events_after(0, 2 * MANY).await.unwrap();
        assert!(told.iter().map(|told| told.seq).eq(1..=MANY));
        assert!(told.iter().map(|told| told.event.kind.clone()).eq((0..MANY).map(|n| n.to_string())));
    }

    async fn who_waits_is_told_and_old_events_go(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let mut hints = storage.event_hints();
        for n in 0..10 {
            emit(&storage, &scope, NewEvent { at: NOON + Duration::hours(n), ..event(&n.to_string()) }).await.unwrap();
        }
        assert_eq!(hints.recv().await.unwrap(), scope.workspace());
        numbered(&storage, &scope, 10).await;
        let purge = |limit| {
            let (storage, scope) = (storage.clone(), scope.clone());
            async move {
                storage
                    .transact::<_, StorageError, _>(&scope, move |tx| {
                        Box::pin(async move { tx.purge_events(NOON + Duration::hours(4), limit).await })
                    })
                    .await
                    .unwrap()
            }
        };
        assert_eq!((purge(3).await, purge(3).await, purge(3).await), (3, 1, 0));
        let reader = storage.reader(&scope);
        assert_eq!(reader.oldest_event_seq().await.unwrap(), Some(5));
        assert_eq!(reader.events_after(0, 100).await.unwrap().len(), 6);
        assert_eq!(reader.last_event_seq().await.unwrap(), 10);
    }
}
