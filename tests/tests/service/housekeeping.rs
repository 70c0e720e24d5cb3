//! What is deleted when, on both databases.

use time::Duration;
use transom_desk::housekeeping;
use transom_domain::SettableClock;
use transom_sandbox::NewCustomer;
use transom_storage::both_databases;
use transom_tests::{Stage, Trouble};

both_databases! {
    /// What is over is deleted, what is not stays, and conversations stay for good.
    async fn old_rows_are_deleted_and_young_ones_stay(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let world = &stage.world;
        let account = world.account("whatsapp").unwrap().at_sandbox.clone();
        world.control().create_customer(NewCustomer::named("olga", "Olga Old", "+4915550600001")).unwrap();
        world.control().writes(&account, "olga", "long ago").unwrap();
        let (_, conversation) = world.conversation_with("whatsapp", "Olga Old").await.unwrap();
        stage.quiet().await.unwrap();
        let reader = || world.desk().storage().reader(&world.caller.scope);
        assert!(reader().oldest_event_seq().await.unwrap().is_some());
        let first = reader().events_after(0, 1).await.unwrap()[0].seq;

        world.clock.advance(Duration::days(6));
        housekeeping::tidy(world.desk()).await.unwrap();
        assert_eq!(reader().oldest_event_seq().await.unwrap(), Some(first), "six days are no reason");

        world.clock.advance(Duration::days(2));
        world.control().writes(&account, "olga", "just now").unwrap();
        let newer = || async {
            let oldest = reader().oldest_event_seq().await.map_err(Trouble::new)?;
            Ok(oldest.filter(|oldest| *oldest > first))
        };
        world.until("the background work has deleted the old events", newer).await.unwrap();
        stage.quiet().await.unwrap();
        let page = stage.api.get(&format!("/conversations/{conversation}/messages")).await.unwrap().body;
        let texts = page.to_string();
        assert!(texts.contains("long ago") && texts.contains("just now"), "{texts}");
        world.desk().storage().optimize().await.unwrap();
        stage.strike().await;
    }
}
