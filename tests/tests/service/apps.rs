//! One app, several accounts: each with a token of its own, none with another's.

use serde_json::{Value, json};
use transom_desk::channels::{self, NewChannel};
use transom_domain::SettableClock;
use transom_sandbox::{NewAccount, NewCustomer};
use transom_server::demo::world::text_of;
use transom_storage::both_databases;
use transom_tests::Stage;

both_databases! {
    async fn accounts_of_one_app_have_tokens_of_their_own(db: TestDatabase) {
        let stage = Stage::set(db, SettableClock::running()).await.unwrap();
        let (world, control) = (&stage.world, stage.world.control());
        let first = world.account("tiktok").unwrap().clone();
        let app = control.account(&first.at_sandbox).unwrap().settings;
        let shared = json!({ "app_id": app["app_id"], "app_secret": app["app_secret"] });
        let view = control.create_account(NewAccount::on("tiktok").settings(shared)).unwrap();
        let own = ["business_id", "refresh_token"].map(|name| (name.to_owned(), text_of(&view.settings, name).unwrap()));
        let new = NewChannel {
            platform: "tiktok".to_owned(),
            connection: Some(first.ours.connection),
            settings: own.into_iter().collect(),
            check: true,
            ..NewChannel::default()
        };
        let second = world.connect_as(new, view.id).await.unwrap();
        assert_eq!(second.ours.connection, first.ours.connection);

        for (number, account) in [&first, &second, &first].into_iter().enumerate() {
            let name = format!("kim{number}");
            let phone = format!("+82100000020{number}");
            let new = NewCustomer { username: Some(name.clone()), ..NewCustomer::named(&name, &name, &phone) };
            control.create_customer(new).unwrap();
            control.writes(&account.at_sandbox, &name, "hello").unwrap();
            stage.quiet().await.unwrap();
            let found = stage.api.get(&format!("/conversations?channel={}", account.ours.id)).await.unwrap();
            let items = found.expect(200).unwrap().body["items"].clone();
            let newest = items[0]["id"].as_str().expect("a conversation").to_owned();
            let path = format!("/conversations/{newest}/messages");
            let sent = stage.api.post(&path, json!({ "type": "reply", "text": name })).await.unwrap().expect(202).unwrap();
            stage.settled(sent.text("/id").unwrap()).await.unwrap();
        }
        let ledger = control.ledger();
        let took = |account: &str| ledger.iter().filter(|send| send.account == account).count();
        assert_eq!((took(&first.at_sandbox), took(&second.at_sandbox)), (2, 1));

        let shown = stage.api.get(&format!("/channels/{}", second.ours.id)).await.unwrap().expect(200).unwrap();
        assert!(shown.body.pointer("/settings/refresh_token").is_some_and(Value::is_object), "{}", shown.body);
        let kept = || async {
            let reader = world.desk().storage().reader(&world.caller.scope);
            let secrets = reader.secrets(first.ours.connection).await.unwrap().unwrap();
            secrets.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(kept().await.len(), 3, "the app's secret and a token for each account: {:?}", kept().await);
        channels::remove(world.desk(), &world.caller, second.ours.id).await.unwrap();
        let left = kept().await;
        assert!(left.len() == 2 && left.iter().all(|key| !key.contains(&second.ours.id.to_string())), "{left:?}");
        stage.strike().await;
    }
}
