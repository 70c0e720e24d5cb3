//! Who a visitor is, where they can be reached, what they refuse, and what they find when they scroll back.

use serde_json::json;
use transom_storage::test_support::TestDatabase;

use crate::shop::{ROOT, Shop, bubbles, is_clean, open, ui, until_bubbles, until_sent, write};

/// A JWT of the site says who somebody is: on another device the chat is there, and the desk knows their name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jwt_is_one_person_everywhere() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let as_ada = format!("jwt={}", shop.jwt("cust-42", "Ada Lovelace"));
    let desktop = shop.tab(&shop.visitor().await, &as_ada).await;
    open(&desktop).await;
    write(&desktop, "by a JWT").await;
    shop.conversation_saying("by a JWT").await;
    let contact = shop.contact(|contact| contact["profile"]["external_id"] == "cust-42").await;
    assert_eq!(contact["name"], "Ada Lovelace", "{contact}");
    let phone = shop.visitor().await.tab(390, 844).await.unwrap();
    shop.goto(&phone, &as_ada).await;
    open(&phone).await;
    until_bubbles(&phone, &["by a JWT"]).await;

    // One whose signature is another's lets nobody in.
    let (mine, theirs) = (shop.jwt("cust-42", "Ada"), shop.jwt("cust-43", "Eve"));
    let forged = format!("{}.{}", mine.rsplit_once('.').unwrap().0, theirs.rsplit_once('.').unwrap().1);
    let forger = shop.tab(&shop.visitor().await, &format!("jwt={forged}")).await;
    forger.until("told.includes('identity_invalid')").await.unwrap();
    assert!(!bubbles(&forger).await.contains(&"by a JWT".to_owned()));
    is_clean(&desktop).await;
    shop.close().await;
}

/// An address is asked for where nobody is there, or where what is not read goes there; it is asked for once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_left() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let page = shop.tab(&shop.visitor().await, "").await;
    open(&page).await;
    let hidden = format!("{}.hidden", ui(".mail"));
    write(&page, "anybody?").await;
    shop.conversation_saying("anybody?").await;
    until_sent(&page).await;
    assert_eq!(page.eval(&hidden).await.unwrap(), json!(true), "there is no use for an address");

    let email = shop.stage.world.account("email").unwrap().ours.id.to_string();
    shop.configured(&[("fallback_channel", &email)]).await;
    // The service looks at its settings every five seconds.
    shop.stage.world.clock.advance(time::Duration::seconds(6));
    page.reload().await.unwrap();
    page.until(&format!("{hidden} === false")).await.unwrap();
    page.eval(&format!("{}.focus()", ui(".mail input"))).await.unwrap();
    page.types("nora@example.test").await.unwrap();
    page.press("Enter").await.unwrap();
    shop.contact(|contact| contact["profile"]["email"] == "nora@example.test").await;
    page.until(&format!("{}.textContent.includes('we will write to you there')", ui(".note"))).await.unwrap();
    page.reload().await.unwrap();
    until_bubbles(&page, &["anybody?"]).await;
    assert_eq!(page.eval(&hidden).await.unwrap(), json!(true), "it is known");
    is_clean(&page).await;
    shop.close().await;
}

/// Who is invited sees it, and who dismisses it is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_is_refused() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let page = shop.tab(&shop.visitor().await, "").await;
    let contact = shop.contact(|contact| contact["identities"][0]["addresses"][0]["kind"] == "visitor_id").await;
    let path = format!("/contacts/{}/messages", contact["id"].as_str().unwrap());
    let channel = shop.stage.world.account("webchat").unwrap().ours.id;
    let invitation = json!({ "channel": channel, "message": { "type": "reply", "text": "May I help?" } });
    let sent = shop.stage.api.post(&path, invitation.clone()).await.unwrap().expect(202).unwrap();
    let conversation = sent.text("/conversation").unwrap().to_owned();
    page.until(&format!("{}.textContent.includes('May I help?')", ui(".teaser"))).await.unwrap();
    page.click(&ui(".teaser [aria-label=\"Dismiss\"]")).await.unwrap();
    page.until(&format!("{}.hidden", ui(".teaser"))).await.unwrap();
    let path_of = format!("/conversations/{conversation}");
    let closed = || async {
        let found = shop.stage.api.get(&path_of).await?.expect(200)?.body;
        Ok((found["status"] == "closed").then_some(()))
    };
    shop.stage.world.until("the chat is ended", closed).await.unwrap();
    shop.stage.world.clock.advance(time::Duration::days(2));
    let refused = shop.stage.api.post(&path, invitation).await.unwrap();
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.body.to_string().contains("opted_out"), "{}", refused.body);
    is_clean(&page).await;
    shop.close().await;
}

/// A new device shows the newest; who scrolls up finds all of it, once, and stays where they read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_scrolls_back_finds_the_beginning() {
    let Some(shop) = Shop::open(TestDatabase::sqlite()).await else { return };
    let as_ada = format!("jwt={}", shop.jwt("cust-42", "Ada"));
    let page = shop.tab(&shop.visitor().await, &as_ada).await;
    open(&page).await;
    write(&page, "tell me everything").await;
    let conversation = shop.conversation_saying("tell me everything").await;
    let mut wanted = vec!["tell me everything".to_owned()];
    for n in 0..69 {
        let text = format!("line {n}\nof many\nlines");
        shop.answers(conversation["id"].as_str().unwrap(), json!({ "text": text })).await;
        wanted.push(text);
    }
    let count = format!("{ROOT}.querySelectorAll('.msg .text').length");
    page.until(&format!("{count} === 70")).await.unwrap();

    let phone = shop.visitor().await.tab(390, 844).await.unwrap();
    shop.goto(&phone, &as_ada).await;
    open(&phone).await;
    phone.until(&format!("{count} >= 30")).await.unwrap();
    let end = format!("{0}.scrollHeight - {0}.scrollTop - {0}.clientHeight < 40", ui("ol"));
    phone.until(&end).await.unwrap();
    let mut shown = phone.eval(&count).await.unwrap().as_u64().unwrap();
    assert!(shown < 70, "all of it at once: {shown}");
    let first = format!("{ROOT}.querySelector('.msg .text')");
    while shown < 70 {
        phone.eval(&format!("window.was = {first}; {}.scrollTop = 0", ui("ol"))).await.unwrap();
        phone.until(&format!("{count} > {shown}")).await.unwrap();
        shown = phone.eval(&count).await.unwrap().as_u64().unwrap();
        // What stood at the top is still about there: within a fraction of the screen.
        let place = format!("was.getBoundingClientRect().top - {}.getBoundingClientRect().top", ui("ol"));
        let place = phone.eval(&place).await.unwrap().as_f64().unwrap();
        assert!((-200.0..400.0).contains(&place), "{place}");
    }
    assert_eq!(bubbles(&phone).await, wanted);
    is_clean(&phone).await;
    shop.close().await;
}
