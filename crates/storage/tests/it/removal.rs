//! What goes with an account that is given up, and what stays, on both databases.

use crate::sending_support::*;
use secrecy::SecretString;
use serde_json::json;
use time::Duration;
use transom_storage::both_databases;

impl Desk {
    async fn remove(&self, account: ChannelAccountId) -> Option<RemovedAccount> {
        in_tx!(self, [account], tx => tx.remove_account(account, NOON).await).unwrap()
    }

    /// Up to so many parts that waited over an account.
    async fn withhold(&self, account: ChannelAccountId, limit: u32) -> Vec<PartId> {
        let reason = json!({ "reason": "gone" });
        in_tx!(self, [reason], tx => tx.cancel_queued_over(account, &reason, limit, NOON).await).unwrap()
    }

    async fn put_secret(&self, connection: ConnectionId) {
        let secrets: Secrets = [("token", SecretString::from("s3cret"))].into_iter().collect();
        assert!(in_tx!(self, [secrets], tx => tx.put_secrets(connection, &secrets, NOON).await).unwrap());
    }
}

both_databases! {
    async fn what_waits_is_withheld_and_the_rest_ends_as_it_ends(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let account = desk.account.id;
        let talks = desk.talks_on(account, 3).await;
        let on_the_wire = desk.sending(talks[0]).await;
        let (queued, later) = (desk.reply(talks[1]).await, desk.send(talks[2], 2, Priority::Reply, NOON + Duration::HOUR).await);
        let month = Reservation {
            quota: "month".into(),
            scope: QuotaScope::Account(account),
            period: "2026-11".into(),
            limit: Some(9),
            cost: 1,
            counting: Counting::Requests,
        };
        desk.reserve(&queued, &[month], NOON).await.unwrap();
        let other = an_account(id(), "beta");
        desk.add_account(&other).await;
        let elsewhere = desk.reply(desk.talk_on(other.id).await).await;

        desk.remove(account).await.unwrap();
        let mut withheld = desk.withhold(account, 100).await;
        withheld.sort();
        let mut expected = [queued.part(), later.parts[0], later.parts[1]];
        expected.sort();
        assert_eq!(withheld, expected);
        assert_eq!(desk.part_states(&later).await, [DeliveryState::NotSent; 2]);
        assert_eq!(desk.state(&queued).await, DeliveryState::NotSent);
        assert_eq!(ledger(&db).await[&("month".to_owned(), "2026-11".to_owned())], (0, 0), "its quota goes back");
        desk.settle(on_the_wire.part(), 1, sent("p"), NOON).await;
        assert_eq!(desk.state(&on_the_wire).await, DeliveryState::Sent);
        assert_eq!(desk.claim_parts(NOON + Duration::HOUR).await, [elsewhere.part()], "another account sends on");

        assert_eq!(desk.remove(account).await, None, "once");
        let stale = desk.reader().stale_windows().await.unwrap();
        assert_eq!(stale.iter().map(|stale| stale.account).collect::<Vec<_>>(), [account], "lists look at the windows again");
    }

    /// However large it is, removing it touches its row and a mark; what waits goes in turns of a size.
    async fn a_large_account_is_given_up_in_small_turns(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let account = desk.account.id;
        let talks = desk.talks_on(account, 3_000).await;
        for talk in talks.iter().take(25) {
            desk.reply(*talk).await;
        }
        desk.remove(account).await.unwrap();
        assert_eq!(desk.reader().windows_to_recompute(NOON, 10).await.unwrap(), [], "no conversation is written");
        let people = desk.reader().people_of_account(account, None, 5_000).await.unwrap();
        assert_eq!((people.len(), desk.reader().stale_windows().await.unwrap().len()), (3_000, 1), "all are marked by one row");
        let mut turns = Vec::new();
        while turns.last() != Some(&0) {
            turns.push(desk.withhold(account, 10).await.len());
        }
        assert_eq!(turns, [10, 10, 5, 0]);
    }

    async fn history_stays_and_secrets_go_with_the_last_account(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (first, connection) = (desk.account.clone(), desk.account.connection);
        let second = an_account(connection, "alpha");
        in_tx!(desk, [second], tx => tx.put_account(&second, NOON).await).unwrap();
        desk.put_secret(connection).await;
        let settings = json!({ "number": "7" });
        in_tx!(desk, [settings], tx => tx.put_account_settings(first.id, &settings).await).unwrap();
        let talk = desk.talk().await;
        let public_id = desk.storage.public_id(&desk.scope, connection);

        let removed = desk.remove(first.id).await.unwrap();
        assert_eq!((removed.connection, removed.with_connection), (connection, false));
        let reader = desk.reader();
        let kept = reader.account(first.id).await.unwrap().unwrap();
        assert_eq!((kept.removed_at, kept.enabled), (Some(NOON), false));
        assert_eq!(reader.account_settings(first.id).await.unwrap(), json!({}));
        assert_eq!(reader.account_by_key(connection, &first.external_key).await.unwrap(), None);
        assert_eq!(reader.accounts().await.unwrap(), std::slice::from_ref(&second));
        assert_eq!(reader.accounts_of(connection).await.unwrap(), std::slice::from_ref(&second));
        assert!(reader.conversation(talk.conversation).await.unwrap().is_some());
        assert!(reader.secrets(connection).await.unwrap().unwrap().get("token").is_some(), "the other one needs them");
        // What changes it afterwards does not bring it back, and its key is free again.
        in_tx!(desk, [first], tx => tx.put_account(&ChannelAccount { enabled: true, ..first }, NOON).await).unwrap();
        assert_eq!(reader.account(first.id).await.unwrap().unwrap().removed_at, Some(NOON));
        let again = ChannelAccount { id: id(), ..first.clone() };
        in_tx!(desk, [again], tx => tx.put_account(&again, NOON).await).unwrap();
        let twice = ChannelAccount { id: id(), ..first.clone() };
        let refused = in_tx!(desk, [twice], tx => tx.put_account(&twice, NOON).await);
        assert!(matches!(refused, Err(StorageError::Duplicate(_))), "{refused:?}");

        assert!(!in_tx!(desk, [], tx => tx.remove_connection(connection, NOON).await).unwrap(), "two accounts are on it");
        assert!(!desk.remove(again.id).await.unwrap().with_connection);
        assert!(desk.remove(second.id).await.unwrap().with_connection);
        assert_eq!(reader.connection(connection).await.unwrap(), None);
        assert!(reader.connections().await.unwrap().is_empty());
        assert!(reader.secrets(connection).await.unwrap().unwrap().get("token").is_none());
        assert!(desk.storage.scope_of_public_id(&public_id).await.unwrap().is_none());
        assert!(!in_tx!(desk, [], tx => tx.lock_connection(connection).await).unwrap());
    }

    async fn another_workspace_removes_nothing(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let other = db.workspace(&desk.storage, "Other").await;
        let stranger = Desk { scope: other, ..desk.clone() };
        assert_eq!(stranger.remove(desk.account.id).await, None);
        let connection = desk.account.connection;
        assert!(!in_tx!(stranger, [connection], tx => tx.remove_connection(connection, NOON).await).unwrap());
        assert_eq!(desk.reader().account(desk.account.id).await.unwrap().unwrap().removed_at, None);
    }
}
