use std::sync::atomic::{AtomicU32, Ordering};

use time::ext::NumericalDuration;
use tokio::task::JoinSet;
use transom_domain::{Connection, SettableClock, UuidV7};
use transom_storage::both_databases;
use transom_storage::test_support::{NOON, TestDatabase};

use super::*;

/// A connection of its own in a workspace of its own.
async fn tokens(db: &TestDatabase, storage: &Storage) -> StoredTokens {
    let scope = db.workspace(storage, "Acme").await;
    let connection = connection(storage, &scope).await;
    on(storage, &scope, connection)
}

async fn connection(storage: &Storage, scope: &WorkspaceScope) -> ConnectionId {
    let connection = Connection { id: ConnectionId::new(&UuidV7), platform: "elsewhere".into(), name: "shop".into() };
    let id = connection.id;
    storage
        .transact::<_, StorageError, _>(scope, move |tx| {
            let connection = connection.clone();
            Box::pin(async move { tx.put_connection(&connection, &serde_json::json!({}), NOON).await })
        })
        .await
        .unwrap();
    id
}

fn on(storage: &Storage, scope: &WorkspaceScope, connection: ConnectionId) -> StoredTokens {
    let (clock, ids) = (Arc::new(SettableClock::frozen(NOON)), Arc::new(UuidV7));
    StoredTokens { storage: storage.clone(), scope: scope.clone(), connection, clock, ids }
}

fn token(text: &str, expires_at: OffsetDateTime) -> StoredToken {
    StoredToken { token: text.into(), refresh: Some(format!("{text}-refresh").into()), expires_at: Some(expires_at) }
}

fn gives(token: StoredToken) -> Renew<'static> {
    Box::new(|_| Box::pin(async { Ok(token) }))
}

fn text(token: &StoredToken) -> &str {
    token.token.expose_secret()
}

async fn got(tokens: &StoredTokens, key: &str) -> Option<String> {
    tokens.get(key).await.unwrap().as_ref().map(text).map(str::to_owned)
}

both_databases! {
    async fn a_token_is_given_until_it_ends_and_to_its_connection_only(db: TestDatabase) {
        let storage = db.open().await;
        let ours = tokens(&db, &storage).await;
        assert_eq!(got(&ours, "access").await, None);
        ours.renew("access", gives(token("first", NOON + 1.hours()))).await.unwrap();
        assert_eq!(got(&ours, "access").await.as_deref(), Some("first"));
        assert_eq!(got(&ours, "other").await, None);

        let neighbour = on(&storage, &ours.scope, connection(&storage, &ours.scope).await);
        let foreign = on(&storage, &db.workspace(&storage, "Other").await, ours.connection);
        assert_eq!(got(&neighbour, "access").await, None);
        assert_eq!(got(&foreign, "access").await, None);
        let refused = foreign.replace("access", &Arc::new(None), &token("planted", NOON)).await;
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");

        let late = StoredTokens { clock: Arc::new(SettableClock::frozen(NOON + 1.hours())), ..ours };
        assert_eq!(got(&late, "access").await, None, "the end itself is outside");
        let seen = Arc::new(Mutex::new(None));
        let saw = Arc::clone(&seen);
        let renew: Renew<'_> = Box::new(move |old| {
            *saw.lock().unwrap() = old.map(|old| (text(&old).to_owned(), old.refresh.unwrap().expose_secret().to_owned()));
            Box::pin(async { Ok(token("second", NOON + 2.hours())) })
        });
        assert_eq!(text(&late.renew("access", renew).await.unwrap()), "second");
        assert_eq!(seen.lock().unwrap().take(), Some(("first".into(), "first-refresh".into())), "an ended one can be renewed");
        assert_eq!(got(&late, "access").await.as_deref(), Some("second"));
    }

    async fn of_many_that_need_a_token_one_renews(db: TestDatabase) {
        let replicas = [db.open().await, db.open().await];
        let first = tokens(&db, &replicas[0]).await;
        let renewals = Arc::new(AtomicU32::new(0));
        for (round, rejected) in [(1, None), (2, Some("token-1"))] {
            let mut callers = JoinSet::new();
            for replica in replicas.iter().cycle().take(8) {
                let port: Arc<dyn TokenPort> = Arc::new(on(replica, &first.scope, first.connection));
                let renewals = Arc::clone(&renewals);
                callers.spawn(async move {
                    let renew: Renew<'_> = Box::new(|_| {
                        Box::pin(async move {
                            let count = renewals.fetch_add(1, Ordering::SeqCst) + 1;
                            Ok(token(&format!("token-{count}"), NOON + 1.hours()))
                        })
                    });
                    let rejected = rejected.map(SecretString::from);
                    text(&port.usable("access", rejected.as_ref(), renew).await.unwrap()).to_owned()
                });
            }
            let given = callers.join_all().await;
            assert_eq!(given, vec![format!("token-{round}"); 8]);
            assert_eq!(renewals.load(Ordering::SeqCst), round);
        }
    }

    async fn a_renewal_that_fails_leaves_the_old_token_and_no_lease(db: TestDatabase) {
        let storage = db.open().await;
        let ours = tokens(&db, &storage).await;
        ours.renew("access", gives(token("old", NOON + 1.hours()))).await.unwrap();
        let fails: Renew<'_> = Box::new(|_| Box::pin(async { Err(TokenError("refused".into())) }));
        assert_eq!(ours.renew("access", fails).await.unwrap_err(), TokenError("refused".into()));
        assert_eq!(got(&ours, "access").await.as_deref(), Some("old"));
        assert!(ours.lease("access", UuidV7.next()).await.unwrap(), "the lease is free");
    }

    async fn a_dead_holder_is_taken_over_after_its_lease(db: TestDatabase) {
        let storage = db.open().await;
        let ours = tokens(&db, &storage).await;
        let (name, dead) = (ours.lease_name("access"), UuidV7.next());
        let until = storage
            .transact::<_, StorageError, _>(&ours.scope, move |tx| {
                let name = name.clone();
                Box::pin(async move { Ok(tx.acquire_lease(&name, dead, 300.milliseconds()).await?.unwrap().until) })
            })
            .await
            .unwrap();
        ours.renew("access", gives(token("new", NOON + 1.hours()))).await.unwrap();
        assert!(storage.database_now().await.unwrap() >= until, "not before");
        assert_eq!(got(&ours, "access").await.as_deref(), Some("new"));
    }

    async fn whoever_hung_over_its_lease_gives_what_its_successor_stored(db: TestDatabase) {
        let storage = db.open().await;
        let ours = tokens(&db, &storage).await;
        ours.renew("access", gives(token("old", NOON + 1.hours()))).await.unwrap();
        let successor = on(&storage, &ours.scope, ours.connection);
        let hangs: Renew<'_> = Box::new(move |_| {
            Box::pin(async move {
                let seen = Arc::new(successor.stored("access").await?);
                assert!(successor.replace("access", &seen, &token("successor", NOON + 2.hours())).await.unwrap());
                Ok(token("late", NOON + 1.hours()))
            })
        });
        assert_eq!(text(&ours.renew("access", hangs).await.unwrap()), "successor");
        assert_eq!(got(&ours, "access").await.as_deref(), Some("successor"));
    }

    async fn tokens_of_a_new_connection_are_stored_with_it(db: TestDatabase) {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let new = NewTokens::default();
        new.renew("access", gives(token("first", NOON + 1.hours()))).await.unwrap();
        let ours = on(&storage, &scope, connection(&storage, &scope).await);
        let connection = ours.connection;
        storage
            .transact::<_, StorageError, _>(&scope, move |tx| {
                let new = new.clone();
                Box::pin(async move { new.store(tx, connection, NOON).await })
            })
            .await
            .unwrap();
        assert_eq!(got(&ours, "access").await.as_deref(), Some("first"));
    }

    async fn tokens_are_sealed(db: TestDatabase) {
        let storage = db.open().await;
        let ours = tokens(&db, &storage).await;
        ours.renew("access", gives(token("plain-token", NOON + 1.hours()))).await.unwrap();
        storage.close().await.unwrap();
        if let Some(file) = db.url().strip_prefix("sqlite:") {
            for file in [file.to_owned(), format!("{file}-wal")] {
                let bytes = std::fs::read(&file).unwrap_or_default();
                assert!(!bytes.windows(11).any(|window| window == b"plain-token"), "{file}");
            }
        }
    }
}
