//! The audit log over HTTP, and what happens to whoever edits it in the database. On both databases.

use serde_json::json;
use sqlx::{PgPool, SqlitePool};
use transom_domain::SettableClock;
use transom_storage::test_support::TestDatabase;
use transom_storage::{AuditHead, BrokenLink, both_databases};
use transom_tests::Stage;

/// Changes the database behind the service's back.
async fn edit(db: &TestDatabase, statements: &[&'static str]) {
    for statement in statements {
        if db.is_postgres() {
            let pool = PgPool::connect(db.url()).await.unwrap();
            sqlx::query(*statement).execute(&pool).await.unwrap();
        } else {
            let pool = SqlitePool::connect(db.url()).await.unwrap();
            sqlx::query(*statement).execute(&pool).await.unwrap();
        }
    }
}

async fn verified(stage: &Stage, head: Option<&AuditHead>) -> Result<u64, BrokenLink> {
    let world = &stage.world;
    world.desk().storage().reader(&world.caller.scope).verify_audit(head).await.unwrap()
}

fn broken(seq: u64, what: &'static str) -> Result<u64, BrokenLink> {
    Err(BrokenLink { seq, what })
}

both_databases! {
    /// Five changes, five rows in a chain: a row that is changed, moved or deleted is found, and so is a new end.
    async fn whoever_edits_the_log_is_found(db: TestDatabase) {
        let stage = Stage::set(db.clone(), SettableClock::running()).await.unwrap();
        for name in ["one", "two", "three", "four", "five"] {
            stage.api.post("/tags", json!({ "name": name })).await.unwrap().expect(201).unwrap();
        }
        let chained = || async { Ok((verified(&stage, None).await == Ok(5)).then_some(())) };
        stage.world.until("all rows are chained", chained).await.unwrap();
        let log = stage.api.get("/audit?action=createTag").await.unwrap().expect(200).unwrap();
        let newest = &log.body["items"][0];
        assert_eq!((&newest["object"], &newest["outcome"]), (&json!("five"), &json!("done")), "{newest}");
        let told = stage.api.get("/audit/head").await.unwrap().expect(200).unwrap();
        assert_eq!((&told.body["seq"], &told.body["hash"]), (&newest["seq"], &newest["hash"]));
        let reader = stage.world.desk().storage().reader(&stage.world.caller.scope);
        let head = reader.audit_head().await.unwrap().unwrap();
        assert_eq!(verified(&stage, Some(&head)).await, Ok(5));

        edit(&db, &["UPDATE audit_log SET action = 'other' WHERE seq = 3"]).await;
        assert_eq!(verified(&stage, None).await, broken(3, "changed"));
        edit(&db, &["UPDATE audit_log SET action = 'createTag' WHERE seq = 3"]).await;
        assert_eq!(verified(&stage, None).await, Ok(5));

        let swap = |to: &'static [&'static str]| edit(&db, to);
        const EXCHANGE: &[&str] = &[
            "UPDATE audit_log SET seq = -1 WHERE seq = 2",
            "UPDATE audit_log SET seq = 2 WHERE seq = 4",
            "UPDATE audit_log SET seq = 4 WHERE seq = -1",
        ];
        swap(EXCHANGE).await;
        assert_eq!(verified(&stage, None).await, broken(2, "changed"));
        swap(EXCHANGE).await;
        assert_eq!(verified(&stage, None).await, Ok(5));

        // The end cut off, and the chain told that this is its end: only a head that was kept elsewhere knows.
        edit(&db, &[
            "DELETE FROM audit_log WHERE seq = 5",
            "UPDATE audit_chains SET last_seq = 4, last_hash = (SELECT hash FROM audit_log WHERE seq = 4)",
        ]).await;
        assert_eq!(verified(&stage, None).await, Ok(4));
        assert_eq!(verified(&stage, Some(&head)).await, broken(5, "missing"));

        edit(&db, &["DELETE FROM audit_log WHERE seq = 2"]).await;
        assert_eq!(verified(&stage, None).await, broken(2, "missing"));
        stage.strike().await;
    }
}

both_databases! {
    /// An empty list would say that nobody did it: what can't be in the log is refused.
    async fn an_action_that_there_is_not_is_refused(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        for wrong in ["foo", "createtag", "job.export", ""] {
            let refused = stage.api.get(&format!("/audit?action={wrong}")).await.unwrap();
            assert_eq!((refused.status, refused.text("/code")), (400, Some("parameter_invalid")), "{}", refused.body);
            assert_eq!(refused.text("/field"), Some("action"));
            let says = format!("`action`: nothing is called `{wrong}`: an `operationId` of /openapi.json, such as");
            assert!(refused.text("/detail").unwrap().starts_with(&says), "{}", refused.body);
        }
        for right in ["changeAgent", "job.erase", "token%20create"] {
            let log = stage.api.get(&format!("/audit?action={right}")).await.unwrap().expect(200).unwrap();
            assert_eq!(log.body["items"], json!([]), "{right}");
        }
        stage.strike().await;
    }
}
