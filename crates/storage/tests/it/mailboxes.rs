//! Mailboxes, on both databases.

use crate::common::*;
use serde_json::json;
use time::{Duration, OffsetDateTime};

struct Desk {
    storage: Storage,
    scope: WorkspaceScope,
    connection: ConnectionId,
}

impl Desk {
    async fn open(db: &TestDatabase) -> Self {
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let connection = Connection { id: id(), platform: "hosted".into(), name: "Site".into() };
        let desk = Self { storage, scope, connection: connection.id };
        in_tx!(desk, [connection], tx => tx.put_connection(&connection, &json!({}), NOON).await).unwrap();
        desk
    }

    async fn append(&self, name: &'static str, keys: &[&str], at: OffsetDateTime) -> Vec<StoredMail> {
        let events: Vec<NewMail> =
            keys.iter().map(|key| NewMail { key: (*key).into(), data: json!({ "says": key }) }).collect();
        let connection = self.connection;
        in_tx!(self, [events], tx => tx.append_mail(connection, name, &events, at).await).unwrap()
    }

    async fn seqs(&self, name: &str, after: u64) -> Vec<(u64, String)> {
        let mail = self.storage.reader(&self.scope).mail_after(self.connection, name, after, 1_000).await.unwrap();
        mail.into_iter().map(|event| (event.seq, event.key)).collect()
    }

    async fn mailbox(&self, name: &str) -> Mailbox {
        self.storage.reader(&self.scope).mailbox(self.connection, name).await.unwrap()
    }
}

both_databases! {
    async fn numbers_have_no_gaps_and_a_key_is_there_once(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        assert_eq!(desk.mailbox("v_1").await, Mailbox::default());
        let first = desk.append("v_1", &["a", "b", "a"], NOON).await;
        assert_eq!(first.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 1]);
        // Appended again, with one more: the first keeps its number and its time.
        let again = desk.append("v_1", &["a", "c"], NOON + Duration::HOUR).await;
        assert_eq!((again[0].seq, again[0].at, again[1].seq), (1, NOON, 3));
        assert_eq!(again[0].data, json!({ "says": "a" }));
        assert_eq!(desk.seqs("v_1", 1).await, [(2, "b".to_owned()), (3, "c".to_owned())]);
        assert_eq!(desk.append("v_2", &["a"], NOON).await[0].seq, 1, "mailboxes count on their own");
        assert_eq!(desk.mailbox("v_1").await.last_seq, 3);

        let connection = desk.connection;
        for (seq, acked) in [(2, 2), (1, 2), (4, 2), (3, 3)] {
            in_tx!(desk, [], tx => tx.ack_mail(connection, "v_1", seq).await).unwrap();
            assert_eq!(desk.mailbox("v_1").await.acked_seq, acked, "told {seq}");
        }
        let heads = desk.storage.reader(&desk.scope).mailbox_heads(connection, ["v_1", "v_2", "v_3"]).await.unwrap();
        assert_eq!(heads.iter().map(|(_, seq)| *seq).sum::<u64>(), 4);
    }

    async fn whoever_appends_at_the_same_time_numbers_have_no_gaps(db: TestDatabase) {
        let desk = std::sync::Arc::new(Desk::open(&db).await);
        let appending: Vec<_> = (0..60)
            .map(|n| {
                let desk = desk.clone();
                // Each key is brought by three at the same time.
                tokio::spawn(async move { desk.append("v_1", &[&format!("k{}", n / 3)], NOON).await[0].clone() })
            })
            .collect();
        let mut given = std::collections::BTreeMap::new();
        for appended in appending {
            let event = appended.await.unwrap();
            assert_eq!(*given.entry(event.key).or_insert(event.seq), event.seq, "one key, one number");
        }
        let seqs: Vec<u64> = desk.seqs("v_1", 0).await.into_iter().map(|(seq, _)| seq).collect();
        assert_eq!(seqs, (1..=20).collect::<Vec<u64>>());
    }

    async fn what_is_led_elsewhere_arrives_there(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        desk.append("v_1", &["a"], NOON).await;
        let connection = desk.connection;
        let lead = |to: &'static str| { let desk = &desk; async move {
            in_tx!(desk, [], tx => tx.lead_mailbox(connection, "v_1", to, NOON).await).unwrap()
        }};
        assert_eq!(lead("x:cust-42").await, "x:cust-42");
        assert_eq!(lead("x:cust-7").await, "x:cust-42", "it is bound for good");
        assert_eq!(desk.append("v_1", &["b"], NOON).await[0].seq, 1);
        assert_eq!(desk.seqs("x:cust-42", 0).await, [(1, "b".to_owned())]);
        assert_eq!(desk.seqs("v_1", 0).await, [(1, "a".to_owned())]);
        assert_eq!(desk.mailbox("v_1").await.leads_to.as_deref(), Some("x:cust-42"));
    }

    async fn a_key_opens_until_its_end_and_is_taken_once(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (connection, hash, end) = (desk.connection, [7; 32], NOON + Duration::HOUR);
        in_tx!(desk, [], tx => tx.put_mailbox_key(connection, hash, "v_1", end).await).unwrap();
        let opens = |at| { let desk = &desk; async move {
            desk.storage.reader(&desk.scope).mailbox_key(connection, hash, at).await.unwrap()
        }};
        assert_eq!(opens(NOON).await, Some(("v_1".to_owned(), end)));
        assert_eq!(opens(end).await, None, "the end itself is outside");
        in_tx!(desk, [], tx => tx.put_mailbox_key(connection, hash, "v_2", end + Duration::HOUR).await).unwrap();
        assert_eq!(opens(end).await.unwrap().0, "v_2");
        let other = db.workspace(&desk.storage, "Other").await;
        assert_eq!(desk.storage.reader(&other).mailbox_key(connection, hash, NOON).await.unwrap(), None);
        let take = || async { in_tx!(desk, [], tx => tx.take_mailbox_key(connection, hash, NOON).await) };
        assert_eq!(take().await.unwrap().unwrap().0, "v_2");
        assert_eq!(take().await.unwrap(), None);
    }

    async fn old_mail_goes_and_its_mailbox_remembers(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        desk.append("v_1", &["a", "b"], NOON).await;
        desk.append("v_1", &["c"], NOON + Duration::DAY).await;
        desk.append("v_2", &["a"], NOON + Duration::DAY).await;
        let purge = || async { in_tx!(desk, [], tx => tx.purge_mail(NOON + Duration::HOUR, 10).await) };
        assert_eq!((purge().await.unwrap(), purge().await.unwrap()), (2, 0));
        let stands = desk.mailbox("v_1").await;
        assert_eq!((stands.last_seq, stands.purged_to), (3, 2));
        assert_eq!(desk.mailbox("v_2").await.purged_to, 0);
        assert_eq!(desk.append("v_1", &["d"], NOON + Duration::DAY).await[0].seq, 4, "numbers are not used again");
        let connection = desk.connection;
        in_tx!(desk, [], tx => tx.put_mailbox_key(connection, [1; 32], "v_1", NOON).await).unwrap();
        let keys = || async { in_tx!(desk, [], tx => tx.purge_mailbox_keys(NOON + Duration::HOUR, 10).await) };
        assert_eq!((keys().await.unwrap(), keys().await.unwrap()), (1, 0));
    }

    async fn a_connection_of_another_workspace_has_no_mailboxes(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let other = Desk { scope: db.workspace(&desk.storage, "Other").await, storage: desk.storage.clone(), ..desk };
        let (connection, events) = (other.connection, vec![NewMail { key: "a".into(), data: json!(1) }]);
        let refused = in_tx!(other, [events], tx => tx.append_mail(connection, "v_1", &events, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference { .. })), "{refused:?}");
    }
}
