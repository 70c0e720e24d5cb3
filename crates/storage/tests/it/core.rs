//! The core of the storage, on both databases: transactions, tenants, vault, tokens, connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use secrecy::{ExposeSecret, SecretString};
use time::Duration;
use transom_domain::*;
use transom_storage::test_support::{NOON, TestDatabase};
use transom_storage::*;

#[derive(Debug, PartialEq)]
enum Refused {
    No,
    Storage(String),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Refused::Storage(error.code().to_owned())
    }
}

fn team(name: impl Into<String>) -> Team {
    Team { id: TeamId::new(&UuidV7), name: name.into() }
}

/// Stores a team in a transaction of its own.
async fn put(storage: &Storage, scope: &WorkspaceScope, team: &Team) -> Result<(), StorageError> {
    let team = team.clone();
    storage
        .transact(scope, move |tx| {
            let team = team.clone();
            Box::pin(async move { tx.put_team(&team, NOON).await })
        })
        .await
}

async fn names(storage: &Storage, scope: &WorkspaceScope) -> Vec<String> {
    storage.reader(scope).teams().await.unwrap().into_iter().map(|team| team.name).collect()
}

both_databases! {
    async fn a_workspace_is_stored_with_its_settings(db: TestDatabase) {
        let storage = db.open().await;
        assert!(storage.schema_current().await.unwrap());
        let scope = db.workspace(&storage, "Acme").await;
        let (mut settings, version) = storage.reader(&scope).settings().await.unwrap();
        assert_eq!((&settings, version), (&Settings::default(), 1));

        settings.tags_required = true;
        let stored = settings.clone();
        let versions = storage
            .transact::<_, StorageError, _>(&scope, move |tx| {
                let settings = stored.clone();
                Box::pin(async move {
                    let first = tx.update_settings(&settings, Some(1)).await?;
                    Ok((first, tx.update_settings(&settings, Some(1)).await?))
                })
            })
            .await
            .unwrap();
        assert_eq!(versions, (Some(2), None), "the second change met another version");
        assert_eq!(storage.reader(&scope).settings().await.unwrap(), (settings, 2));
        assert_eq!(storage.all_scopes().await.unwrap(), [scope]);
    }

    async fn a_reader_of_a_moment_sees_nothing_that_came_later(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        put(&storage, &scope, &team("Billing")).await.unwrap();
        let moment = storage.reader_of_a_moment(&scope).await.unwrap();
        assert_eq!(moment.teams().await.unwrap().len(), 1);
        put(&storage, &scope, &team("Returns")).await.unwrap();
        assert_eq!(moment.teams().await.unwrap().len(), 1);
        drop(moment);
        let later = storage.reader_of_a_moment(&scope).await.unwrap();
        assert_eq!(later.teams().await.unwrap().len(), 2);
    }

    async fn what_was_stored_is_there_after_a_restart(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        put(&storage, &scope, &team("Billing")).await.unwrap();
        storage.close().await.unwrap();
        let storage = db.open().await;
        assert_eq!(names(&storage, &scope).await, ["Billing"]);
    }

    async fn a_refusal_leaves_nothing_behind(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let refused: Result<(), Refused> = storage
            .transact(&scope, |tx| {
                Box::pin(async move {
                    tx.put_team(&team("Billing"), NOON).await?;
                    Err(Refused::No)
                })
            })
            .await;
        assert_eq!(refused, Err(Refused::No));
        assert!(names(&storage, &scope).await.is_empty());
    }

    /// On SQLite these share groups: a neighbour's failure undoes only what it did itself.
    async fn neighbours_do_not_undo_each_other(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let mut running = Vec::new();
        for n in 0..60 {
            let (storage, scope) = (storage.clone(), scope.clone());
            running.push(tokio::spawn(async move {
                storage
                    .transact::<(), Refused, _>(&scope, move |tx| {
                        Box::pin(async move {
                            tx.put_team(&team(format!("{n:02}")), NOON).await?;
                            match n % 3 {
                                0 => Err(Refused::No),
                                1 => panic!("job {n} panics"),
                                _ => Ok(()),
                            }
                        })
                    })
                    .await
            }));
        }
        for (n, running) in running.into_iter().enumerate() {
            let expected = match n % 3 {
                0 => Err(Refused::No),
                1 => Err(Refused::Storage("panicked".to_owned())),
                _ => Ok(()),
            };
            assert_eq!(running.await.unwrap(), expected, "job {n}");
        }
        let expected: Vec<String> = (0..60).filter(|n| n % 3 == 2).map(|n| format!("{n:02}")).collect();
        assert_eq!(names(&storage, &scope).await, expected);
    }

    async fn a_savepoint_undoes_only_itself(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        storage
            .transact::<(), Refused, _>(&scope, |tx| {
                Box::pin(async move {
                    tx.put_team(&team("before"), NOON).await?;
                    let refused: Result<(), Refused> = tx
                        .savepoint(|tx| {
                            Box::pin(async move {
                                tx.put_team(&team("inside"), NOON).await?;
                                Err(Refused::No)
                            })
                        })
                        .await;
                    assert_eq!(refused, Err(Refused::No));
                    // A statement that fails inside does not spoil what is outside, on PostgreSQL neither.
                    let duplicate: Result<(), Refused> =
                        tx.savepoint(|tx| Box::pin(async move { Ok(tx.put_team(&team("before"), NOON).await?) })).await;
                    assert_eq!(duplicate, Err(Refused::Storage("duplicate".into())));
                    let panicked: Result<(), Refused> =
                        tx.savepoint(|_| Box::pin(async { panic!("a bad item") })).await;
                    assert_eq!(panicked, Err(Refused::Storage("panicked".into())));
                    Ok(tx.put_team(&team("after"), NOON).await?)
                })
            })
            .await
            .unwrap();
        assert_eq!(names(&storage, &scope).await, ["after", "before"]);
    }

    /// PostgreSQL answers COMMIT of a failed transaction with a silent rollback: that must never look like success.
    async fn a_swallowed_error_is_no_success(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        put(&storage, &scope, &team("Billing")).await.unwrap();
        let done = storage
            .transact::<(), StorageError, _>(&scope, |tx| {
                Box::pin(async move {
                    tx.put_team(&team("Sales"), NOON).await?;
                    assert!(matches!(tx.put_team(&team("Billing"), NOON).await, Err(StorageError::Duplicate(_))));
                    Ok(())
                })
            })
            .await;
        assert!(done.is_err());
        assert_eq!(names(&storage, &scope).await, ["Billing"]);
    }

    /// Two transactions that lock the same rows in opposite order: one runs again, both succeed.
    async fn a_deadlock_is_healed_by_running_again(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let (a, b) = (team("a"), team("b"));
        put(&storage, &scope, &a).await.unwrap();
        put(&storage, &scope, &b).await.unwrap();
        let runs = Arc::new(AtomicU32::new(0));
        let both = |first: Team, second: Team| {
            let (storage, scope, runs) = (storage.clone(), scope.clone(), Arc::clone(&runs));
            tokio::spawn(async move {
                storage
                    .transact::<(), StorageError, _>(&scope, move |tx| {
                        let (first, second) = (first.clone(), second.clone());
                        runs.fetch_add(1, Ordering::SeqCst);
                        Box::pin(async move {
                            tx.put_team(&first, NOON).await?;
                            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                            tx.put_team(&second, NOON).await
                        })
                    })
                    .await
            })
        };
        let (one, two) = (both(a.clone(), b.clone()), both(b, a));
        one.await.unwrap().unwrap();
        two.await.unwrap().unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), if db.is_postgres() { 3 } else { 2 });
    }

    async fn nothing_is_lost_under_concurrent_writers(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let mut running = Vec::new();
        for n in 0..300 {
            let (storage, scope) = (storage.clone(), scope.clone());
            running.push(tokio::spawn(async move { put(&storage, &scope, &team(format!("{n:03}"))).await }));
        }
        for running in running {
            running.await.unwrap().unwrap();
        }
        assert_eq!(names(&storage, &scope).await, (0..300).map(|n| format!("{n:03}")).collect::<Vec<_>>());
    }

    async fn another_workspace_sees_and_reaches_nothing(db: TestDatabase) {
        let storage = db.open().await;
        let (ours, theirs) = (db.workspace(&storage, "ours").await, db.workspace(&storage, "theirs").await);
        let agent = db.agent(&storage, &ours, Role::Admin).await;
        let billing = team("Billing");
        put(&storage, &ours, &billing).await.unwrap();
        let connection = Connection { id: ConnectionId::new(&UuidV7), platform: "telegram".into(), name: "bot".into() };
        let account = account_of(&connection);
        let (c, a) = (connection.clone(), account.clone());
        storage
            .transact::<(), StorageError, _>(&ours, move |tx| {
                let (connection, account) = (c.clone(), a.clone());
                Box::pin(async move {
                    tx.put_connection(&connection, &serde_json::json!({}), NOON).await?;
                    tx.put_account(&account, NOON).await
                })
            })
            .await
            .unwrap();

        let reader = storage.reader(&theirs);
        assert_eq!(reader.agent(agent.id).await.unwrap(), None);
        assert_eq!(reader.team(billing.id).await.unwrap(), None);
        assert_eq!(reader.connection(connection.id).await.unwrap(), None);
        assert!(reader.secrets(connection.id).await.unwrap().is_none());
        assert_eq!(reader.account(account.id).await.unwrap(), None);
        assert!(reader.agents().await.unwrap().is_empty() && reader.teams().await.unwrap().is_empty());
        assert!(reader.connections().await.unwrap().is_empty() && reader.accounts().await.unwrap().is_empty());

        // Nor can it refer to our rows: the foreign key carries the workspace.
        let mine = team("Mine");
        let joined: Result<(), StorageError> = storage
            .transact(&theirs, move |tx| {
                let mine = mine.clone();
                Box::pin(async move {
                    tx.put_team(&mine, NOON).await?;
                    tx.add_member(mine.id, agent.id).await
                })
            })
            .await;
        assert!(matches!(joined, Err(StorageError::MissingReference(_))), "{joined:?}");
        // An equal id in another workspace is another row.
        put(&storage, &theirs, &Team { id: billing.id, name: "Theirs".into() }).await.unwrap();
        assert_eq!(names(&storage, &ours).await, ["Billing"]);
    }

    async fn a_token_signs_in_until_it_ends(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let agent = db.agent(&storage, &scope, Role::Agent).await;
        let new = NewToken {
            id: TokenId::new(&UuidV7),
            agent: agent.id,
            name: "laptop".into(),
            scopes: vec!["messages".into()],
            expires_at: Some(NOON + Duration::DAY),
        };
        let made = new.clone();
        let token: SecretString = storage
            .transact::<_, StorageError, _>(&scope, move |tx| {
                let new = made.clone();
                Box::pin(async move { tx.create_token(&new, NOON).await })
            })
            .await
            .unwrap();
        let token = token.expose_secret();
        assert!(token.starts_with("trn_") && token.len() == 69, "{}", token.len());

        let found = storage.authenticate(token, NOON).await.unwrap().unwrap();
        assert_eq!((&found.scope, &found.agent, found.token), (&scope, &agent, new.id));
        assert_eq!(storage.reader(&scope).tokens().await.unwrap()[0].last_used_at, Some(NOON));

        let mut wrong = token.to_owned();
        wrong.replace_range(68.., if token.ends_with('A') { "B" } else { "A" });
        for nobody in ["", "trn_", "x", &wrong, &token[..68], &token.replace("trn_", "trm_")] {
            assert_eq!(storage.authenticate(nobody, NOON).await.unwrap(), None, "{nobody}");
        }
        assert_eq!(storage.authenticate(token, NOON + Duration::DAY).await.unwrap(), None, "expired");

        let active = |on: bool| {
            let (storage, scope, agent) = (storage.clone(), scope.clone(), agent.clone());
            async move {
                storage
                    .transact::<_, StorageError, _>(&scope, move |tx| {
                        let agent = agent.clone();
                        Box::pin(async move { tx.put_agent(&agent, on, NOON).await })
                    })
                    .await
                    .unwrap();
            }
        };
        active(false).await;
        assert_eq!(storage.authenticate(token, NOON).await.unwrap(), None, "inactive");
        active(true).await;
        let revoked = storage
            .transact::<_, StorageError, _>(&scope, move |tx| {
                Box::pin(async move { Ok((tx.revoke_token(new.id, NOON).await?, tx.revoke_token(new.id, NOON).await?)) })
            })
            .await
            .unwrap();
        assert_eq!(revoked, (true, false));
        assert_eq!(storage.authenticate(token, NOON).await.unwrap(), None, "revoked");
    }

    async fn secrets_are_sealed_merged_and_opened(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let connection = Connection { id: ConnectionId::new(&UuidV7), platform: "telegram".into(), name: "bot".into() };
        let public = storage.public_id(&scope, connection.id);
        assert_eq!(storage.scope_of_public_id(&public).await.unwrap(), None, "not there yet");
        let c = connection.clone();
        storage
            .transact::<(), StorageError, _>(&scope, move |tx| {
                let connection = c.clone();
                Box::pin(async move {
                    tx.put_connection(&connection, &serde_json::json!({"bot": "a"}), NOON).await?;
                    let token: Secrets = [("token", SecretString::from("123456:first-token"))].into_iter().collect();
                    assert!(tx.put_secrets(connection.id, &token, NOON).await?);
                    let hook: Secrets = [("webhook", SecretString::from("webhook-secret-9999"))].into_iter().collect();
                    assert!(tx.put_secrets(connection.id, &hook, NOON).await?);
                    // A change of settings leaves the secrets alone.
                    tx.put_connection(&connection, &serde_json::json!({"bot": "b"}), NOON).await
                })
            })
            .await
            .unwrap();

        let reader = storage.reader(&scope);
        let secrets = reader.secrets(connection.id).await.unwrap().unwrap();
        assert_eq!(secrets.get("token").unwrap().expose_secret(), "123456:first-token");
        assert_eq!(secrets.get("webhook").unwrap().expose_secret(), "webhook-secret-9999");
        let stored = reader.connection(connection.id).await.unwrap().unwrap();
        assert_eq!(stored.settings, serde_json::json!({"bot": "b"}));
        assert_eq!(stored.secrets_of(None)["webhook"], "9999");
        assert_eq!(storage.scope_of_public_id(&public).await.unwrap(), Some((scope, connection.id)));
        for foreign in ["", "x", &public[1..], &"A".repeat(43)] {
            assert_eq!(storage.scope_of_public_id(foreign).await.unwrap(), None);
        }
        assert_not_in_the_clear(&db, &storage, &["first-token", "webhook-secret"]).await;
    }

    async fn another_master_key_does_not_open_the_database(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        storage.close().await.unwrap();
        let wrong = MasterKey::from_bytes([9; 32]).unwrap();
        let refused = Storage::open(StorageConfig::new(db.url(), wrong)).await.unwrap_err();
        assert!(matches!(refused, StorageError::Vault(VaultError::WrongMasterKey)), "{refused}");

        // A new key takes over while the old one still opens; afterwards it stands alone.
        let key = || MasterKey::from_bytes([9; 32]).unwrap();
        let old = MasterKey::from_bytes(*b"a key for tests and nothing else").unwrap();
        let both = Storage::open(StorageConfig::new(db.url(), MasterKeys::new(key(), vec![old]))).await.unwrap();
        assert_eq!(both.keys_status().await.unwrap(), KeysStatus { data_keys: 1, under_earlier_keys: 1 });
        assert_eq!(both.rewrap_data_keys().await.unwrap(), 1);
        assert_eq!(both.keys_status().await.unwrap(), KeysStatus { data_keys: 1, under_earlier_keys: 0 });
        both.close().await.unwrap();
        let alone = Storage::open(StorageConfig::new(db.url(), key())).await.unwrap();
        assert_eq!(alone.reader(&scope).workspace().await.unwrap().name, "Acme");
        assert!(Storage::open(db.config()).await.is_err(), "the old key alone no longer opens it");
    }

    async fn replicas_that_start_together_migrate_once(db: TestDatabase) {
        let starts = (0..4).map(|_| {
            let db = db.clone();
            tokio::spawn(async move { db.open().await })
        });
        for start in starts.collect::<Vec<_>>() {
            assert!(start.await.unwrap().schema_current().await.unwrap());
        }
    }

    async fn the_database_is_asked_for_its_clock_and_a_real_write(db: TestDatabase) {
        let storage = db.open().await;
        let offset = storage.clock_offset(&SystemClock).await.unwrap();
        assert!(offset.abs() < Duration::seconds(2), "{offset}");
        storage.probe_write().await.unwrap();
    }

    async fn before_the_migration_the_schema_is_not_current(db: TestDatabase) {
        let storage = Storage::open(db.config()).await.unwrap();
        assert!(!storage.schema_current().await.unwrap());
        assert!(matches!(storage.all_scopes().await, Err(StorageError::Schema(_))));
    }

    async fn a_lease_has_one_holder(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let [a, b] = [UuidV7.next(), UuidV7.next()];
        let take = |owner, ttl| {
            let (storage, scope) = (storage.clone(), scope.clone());
            async move {
                storage
                    .transact::<_, StorageError, _>(&scope, move |tx| {
                        Box::pin(async move { tx.acquire_lease("pull:1", owner, ttl).await })
                    })
                    .await
                    .unwrap()
            }
        };
        let first = take(a, Duration::MINUTE).await.unwrap();
        assert_eq!(take(b, Duration::MINUTE).await, None);
        assert!(take(a, Duration::MINUTE).await.unwrap().until >= first.until, "one's own is renewed");
        take(a, Duration::milliseconds(1)).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(take(b, Duration::MINUTE).await.is_some(), "it was over");
        let released = storage
            .transact::<_, StorageError, _>(&scope, move |tx| {
                Box::pin(async move {
                    Ok((tx.release_lease("pull:1", a).await?, tx.release_lease("pull:1", b).await?))
                })
            })
            .await
            .unwrap();
        assert_eq!(released, (false, true));
        assert!(take(a, Duration::MINUTE).await.is_some());
    }

    async fn of_many_who_want_a_lease_one_gets_it(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let wanting: Vec<_> = (0..20)
            .map(|_| {
                let (storage, scope, owner) = (storage.clone(), scope.clone(), UuidV7.next());
                tokio::spawn(async move {
                    storage
                        .transact::<_, StorageError, _>(&scope, move |tx| {
                            Box::pin(async move { tx.acquire_lease("one", owner, Duration::MINUTE).await })
                        })
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut holders = 0;
        for wanting in wanting {
            holders += u32::from(wanting.await.unwrap().is_some());
        }
        assert_eq!(holders, 1);
    }
}

fn account_of(connection: &Connection) -> ChannelAccount {
    ChannelAccount {
        id: ChannelAccountId::new(&UuidV7),
        connection: connection.id,
        platform: connection.platform.clone(),
        policy: connection.platform.clone(),
        name: "Support".into(),
        external_key: "42".into(),
        features: ["human_agent".to_owned()].into(),
        limits: [("daily".to_owned(), Some(5))].into(),
        quota_group: None,
        country: None,
        enabled: true,
        suspended: None,
        removed_at: None,
    }
}

/// What the database holds on disk does not contain these texts.
async fn assert_not_in_the_clear(db: &TestDatabase, storage: &Storage, secrets: &[&str]) {
    if db.is_postgres() {
        return;
    }
    storage.close().await.unwrap();
    let file = db.url().strip_prefix("sqlite:").unwrap();
    for file in [file.to_owned(), format!("{file}-wal")] {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` stands in {file}");
        }
    }
}

/// A disk that is full answers `storage_full`; reads go on, and writes work again when there is room, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_and_recovers() {
    let db = TestDatabase::sqlite();
    let storage = db.open().await;
    let scope = db.workspace(&storage, "Acme").await;
    put(&storage, &scope, &team("Billing")).await.unwrap();
    storage.limit_pages_for_tests(Some(0)).await.unwrap();
    let big = team("x".repeat(4_000_000));
    let refused = put(&storage, &scope, &big).await.unwrap_err();
    assert!(matches!(refused, StorageError::Full), "{refused}");
    assert_eq!(names(&storage, &scope).await, ["Billing"]);
    put(&storage, &scope, &team("Sales")).await.unwrap();
    assert_eq!(names(&storage, &scope).await, ["Billing", "Sales"]);
}
