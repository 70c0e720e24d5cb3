//! Marks say at a glance whom a search can't find: whatever becomes of people, nobody lacks one.

use crate::people_support::*;
use time::Duration;
use transom_storage::test_support::unmarked;

async fn everybody_is_marked(desk: &Desk, when: &str) {
    let (unmarked, rows) = unmarked(&desk.storage).await.unwrap();
    assert!(rows > 0 && unmarked.is_empty(), "{when}: {unmarked:?}");
}

/// Who is found by these words: by contact, and by their conversations.
async fn found(desk: &Desk, words: &str) -> (usize, usize) {
    let contacts = ContactQuery { q: Some(words.into()), limit: 50, ..ContactQuery::default() };
    let conversations = ConversationQuery { q: Some(words.into()), ..ConversationQuery::new(NOON) };
    let reader = desk.reader();
    (reader.contacts(&contacts).await.unwrap().len(), reader.conversations(&conversations).await.unwrap().len())
}

/// A second thread of a person whom we know.
async fn thread(desk: &Desk, met: &Met, name: &str) {
    let conversation = conversation(met.identity.id, name);
    let (contact, account) = (met.contact, met.identity.account);
    in_tx!(desk, [conversation], tx => tx.insert_conversation(&conversation, contact, account, NOON).await).unwrap();
}

transom_storage::both_databases! {
    async fn whatever_becomes_of_a_person_their_marks_follow(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let (mara, _) = desk.customer("mara").await;
        everybody_is_marked(&desk, "met").await;
        // Told a name, told an address, renamed by hand: each on a conversation that is there, and on one that comes later.
        let later = NOON + Duration::MINUTE;
        desk.meet(&PersonSeed { at: later, ..desk.named(&[("user_id", "mara")], "Wilhelmina Quast") }).await;
        thread(&desk, &mara, "second").await;
        everybody_is_marked(&desk, "told a name").await;
        assert_eq!(found(&desk, "quast wilh").await, (1, 2));
        desk.meet(&desk.seed(&[("user_id", "mara"), ("email", "xaver@example.org")])).await;
        everybody_is_marked(&desk, "told an address").await;
        assert_eq!(found(&desk, "xaver").await, (1, 2));
        let contact = desk.reader().contact(mara.contact).await.unwrap().unwrap().contact;
        let renamed = Contact { display_name: Some("Zoë Yilmaz".into()), ..contact };
        in_tx!(desk, [renamed], tx => tx.update_contact(&renamed, None, NOON).await).unwrap();
        everybody_is_marked(&desk, "renamed").await;
        assert_eq!(found(&desk, "yilm zoe").await, (1, 2));

        // Another contact with a conversation, taken in and given back.
        let ole = desk.meet(&PersonSeed { account: desk.other_account, ..desk.named(&[("user_id", "ole")], "Ole Hjorth") }).await;
        desk.open_conversation(&ole).await;
        let (kept, gone) = (mara.contact, ole.contact);
        let merge: MergeId = id();
        in_tx!(desk, [], tx => tx.merge_contacts(merge, (kept, gone), &Actor::Customer, NOON).await).unwrap().unwrap();
        everybody_is_marked(&desk, "merged").await;
        // The kept one's word counts.
        assert_eq!(found(&desk, "hjorth").await, (0, 0));
        assert_eq!(found(&desk, "yilmaz").await, (1, 3));
        assert!(in_tx!(desk, [], tx => tx.undo_merge(merge, &Actor::Customer, NOON).await).unwrap());
        everybody_is_marked(&desk, "given back").await;
        assert_eq!(found(&desk, "hjorth").await, (1, 1));
        // A name that it had in between is no mark that is missing.
        desk.meet(&PersonSeed { account: desk.other_account, at: later, ..desk.named(&[("user_id", "ole")], "Zoë Hjorth") }).await;
        everybody_is_marked(&desk, "renamed after that").await;
        assert_eq!(found(&desk, "hjorth zoe").await, (1, 1));

        // Two who turn out to be one.
        let (other, _) = desk.customer("other").await;
        desk.meet(&desk.seed(&[("user_id", "mara"), ("user_id", "other")])).await;
        everybody_is_marked(&desk, "joined").await;
        assert_ne!(other.contact, mara.contact);

        in_tx!(desk, [], tx => tx.erase_person(kept, NOON).await).unwrap();
        everybody_is_marked(&desk, "erased").await;
        assert_eq!(found(&desk, "yilmaz").await, (0, 0));
    }

    /// Whoever adds a name and whoever adds a conversation meet at the contact.
    async fn a_name_and_a_conversation_that_come_at_once_find_each_other(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        for round in 0..20 {
            let user = format!("user-{round}");
            let (met, _) = desk.customer(&user).await;
            let named = PersonSeed {
                at: NOON + Duration::MINUTE,
                ..desk.named(&[("user_id", &user)], &format!("Quirin Vogt{round}"))
            };
            let mut both = tokio::task::JoinSet::new();
            let one = desk.clone();
            both.spawn(async move { _ = one.meet(&named).await });
            let other = desk.clone();
            both.spawn(async move { thread(&other, &met, "second").await });
            while let Some(done) = both.join_next().await {
                done.unwrap();
            }
        }
        everybody_is_marked(&desk, "at once").await;
        assert_eq!(found(&desk, "quirin").await, (20, 40));
    }
}
