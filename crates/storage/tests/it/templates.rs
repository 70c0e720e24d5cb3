//! Templates, saved replies and account settings on both databases.

use crate::people_support::*;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use time::Duration;

fn template(name: &str, language: &str, status: TemplateStatus) -> TemplateDefinition {
    TemplateDefinition {
        provider_id: format!("p-{name}-{language}"),
        name: name.into(),
        language: language.into(),
        category: "utility".into(),
        status,
        provider_status: status.as_str().to_uppercase(),
        header: None,
        body: "Hi {{1}}".into(),
        footer: None,
        buttons: Vec::new(),
    }
}

async fn sync(desk: &Desk, catalogue: &[TemplateDefinition], hours: i64) -> SyncCounts {
    let (account, catalogue, at) = (desk.account, catalogue.to_vec(), NOON + Duration::hours(hours));
    in_tx!(desk, [catalogue], tx => tx.upsert_templates(account, &catalogue, &UuidV7, at).await).unwrap()
}

transom_storage::both_databases! {
    async fn a_catalogue_replaces_the_one_before(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        use TemplateStatus::{Approved, Deleted, Paused, Pending};
        assert_eq!(desk.reader().templates_synced_at(desk.account).await.unwrap(), None);
        let first = [template("shipped", "en", Approved), template("shipped", "de", Pending), template("ad", "en", Approved)];
        assert_eq!(sync(&desk, &first, 1).await, SyncCounts { added: 3, changed: 0, gone: 0 });
        let id = desk.reader().template(desk.account, "shipped", "de").await.unwrap().unwrap().id;
        assert_eq!(sync(&desk, &first, 2).await, SyncCounts::default());
        let second = [first[0].clone(), template("shipped", "de", Paused), template("bye", "en", Approved)];
        assert_eq!(sync(&desk, &second, 3).await, SyncCounts { added: 1, changed: 1, gone: 1 });
        assert_eq!(sync(&desk, &second, 4).await, SyncCounts::default());
        let stored = desk.reader().templates(desk.account).await.unwrap();
        let states: Vec<_> = stored
            .iter()
            .map(|stored| (stored.definition.name.as_str(), stored.definition.language.as_str(), stored.definition.status))
            .collect();
        let expected =
            [("ad", "en", Deleted), ("bye", "en", Approved), ("shipped", "de", Paused), ("shipped", "en", Approved)];
        assert_eq!(states, expected);
        assert_eq!(stored[2].id, id, "an id stays");
        assert!(stored.iter().all(|stored| stored.account == desk.account));
        let synced = desk.reader().templates_synced_at(desk.account).await.unwrap();
        assert_eq!(synced, Some(NOON + Duration::hours(4)));
        // A template that comes back is the same one.
        assert_eq!(sync(&desk, &first, 5).await, SyncCounts { added: 0, changed: 2, gone: 1 });
        let nowhere: ChannelAccountId = crate::people_support::id();
        let refused = in_tx!(desk, [], tx => tx.upsert_templates(nowhere, &[], &UuidV7, NOON).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }

    async fn a_notice_changes_one_template(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        sync(&desk, &[template("shipped", "en", TemplateStatus::Approved)], 1).await;
        let account = desk.account;
        let notice = async |hours: i64, status, category: Option<&'static str>, name: &'static str| {
            let at = NOON + Duration::hours(hours);
            in_tx!(desk, [], tx => tx.set_template_status(account, name, "en", status, "WORD", category, at).await).unwrap()
        };
        assert!(notice(2, TemplateStatus::Paused, None, "shipped").await);
        assert!(!notice(1, TemplateStatus::Approved, None, "shipped").await, "an older notice");
        assert!(notice(3, TemplateStatus::Rejected, Some("marketing"), "shipped").await);
        assert!(!notice(3, TemplateStatus::Rejected, None, "unknown").await);
        let found = desk.reader().template(account, "shipped", "en").await.unwrap().unwrap();
        let definition = TemplateDefinition {
            category: "marketing".into(),
            provider_status: "WORD".into(),
            ..template("shipped", "en", TemplateStatus::Rejected)
        };
        assert_eq!((found.definition, found.synced_at), (definition, NOON + Duration::hours(3)));
        let scope = db.workspace(&desk.storage, "Other").await;
        let other = Desk::of(desk.storage.clone(), scope).await;
        assert_eq!(other.reader().templates(account).await.unwrap(), []);
        assert_eq!(other.reader().template(account, "shipped", "en").await.unwrap(), None);
        assert_eq!(other.reader().templates_synced_at(account).await.unwrap(), None);
    }

    async fn saved_replies_are_found_by_the_beginning_of_their_title(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let titles = ["Überweisung", "uber alles", "Zürich", "Refund", "refund later", "%"];
        let mut ids = Vec::new();
        for title in titles {
            let reply = SavedReply { id: id(), title: title.into(), content: format!("{title} {{{{name}}}}"), variants: Vec::new() };
            in_tx!(desk, [reply], tx => tx.put_saved_reply(&reply, None, NOON).await).unwrap();
            assert_eq!(desk.reader().saved_reply(reply.id).await.unwrap().map(|stored| stored.reply), Some(reply.clone()));
            ids.push(reply.id);
        }
        let find = async |prefix: &str| -> Vec<String> {
            let found = desk.reader().saved_replies(prefix, None, 10).await.unwrap();
            found.into_iter().map(|stored| stored.reply.title).collect()
        };
        assert_eq!(find("UBER").await, ["uber alles", "Überweisung"]);
        assert_eq!(find("refund").await, ["Refund", "refund later"]);
        assert_eq!(find("%").await, ["%"]);
        assert_eq!(find("").await.len(), 6);
        let (mut after, mut seen): (Option<SavedReplyId>, Vec<String>) = (None, Vec::new());
        loop {
            let page = desk.reader().saved_replies("", after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.reply.id);
            seen.extend(page.into_iter().map(|stored| stored.reply.title));
        }
        assert_eq!(seen, ["%", "Refund", "refund later", "uber alles", "Überweisung", "Zürich"]);
        let renamed = SavedReply { id: ids[2], title: "Geneva".into(), content: "x".into(), variants: Vec::new() };
        in_tx!(desk, [renamed], tx => tx.put_saved_reply(&renamed, None, NOON).await).unwrap();
        assert_eq!((find("zur").await.len(), find("gen").await.len()), (0, 1));
        let gone = ids[0];
        assert!(in_tx!(desk, [], tx => tx.delete_saved_reply(gone).await).unwrap());
        assert!(!in_tx!(desk, [], tx => tx.delete_saved_reply(gone).await).unwrap());
        let scope = db.workspace(&desk.storage, "Other").await;
        assert_eq!(desk.storage.reader(&scope).saved_reply(ids[1]).await.unwrap(), None);
        assert_eq!(desk.storage.reader(&scope).saved_replies("", None, 9).await.unwrap(), []);
    }

    async fn secrets_are_handed_out_one_by_one(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let connection = desk.reader().account(desk.account).await.unwrap().unwrap().connection;
        let pairs = [("access_token", "EAAG1234567890abcdef"), ("app_secret", "s3cret")];
        let secrets: Secrets = pairs.map(|(field, secret)| (field, SecretString::from(secret))).into_iter().collect();
        in_tx!(desk, [secrets], tx => tx.put_secrets(connection, &secrets, NOON).await).unwrap();
        let opened = desk.reader().secrets(connection).await.unwrap().unwrap();
        let opened: Vec<(String, String)> =
            opened.into_iter().map(|(field, secret)| (field, secret.expose_secret().to_owned())).collect();
        assert_eq!(opened, pairs.map(|(field, secret)| (field.to_owned(), secret.to_owned())));
    }

    async fn an_account_has_settings_of_its_own(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (account, settings) = (desk.account, json!({ "api_url": "http://127.0.0.1:9", "deep": { "a": [1, 2] } }));
        assert_eq!(desk.reader().account_settings(account).await.unwrap(), json!({}));
        in_tx!(desk, [settings], tx => tx.put_account_settings(account, &settings).await).unwrap();
        assert_eq!(desk.reader().account_settings(account).await.unwrap(), settings);
        assert_eq!(desk.reader().account_settings(desk.other_account).await.unwrap(), json!({}));
        // Storing the account again leaves them alone.
        let stored = desk.reader().account(account).await.unwrap().unwrap();
        in_tx!(desk, [stored], tx => tx.put_account(&stored, NOON).await).unwrap();
        assert_eq!(desk.reader().account_settings(account).await.unwrap(), settings);
        let scope = db.workspace(&desk.storage, "Other").await;
        let other = Desk::of(desk.storage.clone(), scope).await;
        let refused = in_tx!(other, [settings], tx => tx.put_account_settings(account, &settings).await);
        assert!(matches!(refused, Err(StorageError::MissingReference(_))), "{refused:?}");
    }
}
