//! Notices about a group of accounts reach each of them: over real HTTP, on both databases.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde_json::json;
use transom_desk::channels::{self, NewChannel};
use transom_domain::SettableClock;
use transom_storage::both_databases;
use transom_tests::{Stage, Trouble};

both_databases! {
    /// Two numbers of one business account, and one of another: what is told of the first account reaches its two.
    async fn a_notice_of_a_business_account_reaches_all_of_its_numbers(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let world = &stage.world;
        let first = world.account("whatsapp").unwrap().clone();
        let waba = world.control().account(&first.at_sandbox).unwrap().settings["waba_id"].as_str().unwrap().to_owned();
        let number = async |id: &str, waba: &str| {
            let settings = BTreeMap::from([
                ("phone_number_id".to_owned(), SecretString::from(id.to_owned())),
                ("waba_id".to_owned(), SecretString::from(waba.to_owned())),
            ]);
            let new = NewChannel {
                platform: "whatsapp".to_owned(),
                name: format!("Number {id}"),
                connection: Some(first.ours.connection),
                settings,
                ..NewChannel::default()
            };
            channels::connect(world.desk(), &world.caller, new, None).await.unwrap().account.id
        };
        let second = number("790000000000001", &waba).await;
        number("790000000000002", "790000000000099").await;

        let template = json!({
            "name": "order_shipped", "language": "en_US", "category": "UTILITY",
            "components": [{ "type": "BODY", "text": "Your order is on its way." }],
        });
        world.control().platform(&first.at_sandbox, "template", template).await.unwrap();
        let paused = json!({ "name": "order_shipped", "language": "en_US", "status": "PAUSED" });
        world.control().platform(&first.at_sandbox, "template_status", paused).await.unwrap();
        let told = || async {
            let reader = world.desk().storage().reader(&world.caller.scope);
            let events = reader.events_after(0, 1_000).await.map_err(Trouble::new)?;
            let about = |event: &transom_storage::NumberedEvent| event.event.data["provider_status"] == "PAUSED";
            let events: Vec<_> = events.into_iter().filter(about).collect();
            let accounts: Vec<String> =
                events.iter().map(|event| event.event.data["account"].as_str().unwrap_or_default().to_owned()).collect();
            Ok((!accounts.is_empty()).then_some(accounts))
        };
        let accounts = world.until("the notice is applied", told).await.unwrap();
        let expected = [first.ours.id.to_string(), second.to_string()];
        assert_eq!(accounts.iter().cloned().collect::<BTreeSet<_>>(), expected.into_iter().collect());
        assert_eq!(accounts.len(), 2, "once each");
        assert_eq!(world.desk().storage().reader(&world.caller.scope).quarantine_count().await.unwrap(), 0);
        stage.strike().await;
    }
}
