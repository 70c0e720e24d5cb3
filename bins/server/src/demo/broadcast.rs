//! The end of the story: one audience on three channels. Each channel's broadcast is tried first, then sent, then answered.

use std::collections::BTreeMap;

use anstream::println;
use serde_json::{Value, json};
use time::Duration;
use transom_sandbox::Act;

use super::api::Api;
use super::cast::{Began, Role, Then};
use super::scene::{check, heading};
use super::seed::{self, Seeded};
use super::table;
use super::world::{Account, Trouble, World};
use crate::terminal;

/// Who is for it, and why not everybody gets it.
const AUDIENCE: [(&str, Role); 6] = [
    ("whatsapp", Role { began: Began::Never, ..invited("Nia Spring", "nia-spring", "+4915550200001") }),
    ("whatsapp", Role { began: Began::Never, ..invited("Omar Spring", "omar-spring", "+4915550200002") }),
    ("whatsapp", Role { began: Began::Never, ..invited("Ruth Spring", "ruth-spring", "+4915550200003") }),
    ("telegram", Role { then: Then::Closed, ..invited("Tomas Spring", "tomas-spring", "+420600000204") }),
    ("telegram", Role { then: Then::Refuses(|| Act::Block), ..invited("Vera Spring", "vera-spring", "+420600000205") }),
    ("line", Role { then: Then::Closed, ..invited("Yoko Spring", "yoko-spring", "+819000000206") }),
];
const OPTED_OUT: &str = "omar-spring";
const BLOCKED: &str = "ruth-spring";
const ANSWERS: &str = "tomas-spring";
const REACHED: [&str; 3] = ["nia-spring", "tomas-spring", "yoko-spring"];

const fn invited(name: &'static str, customer: &'static str, phone: &'static str) -> Role {
    let began = Began::Wrote("Hello", Duration::days(60));
    Role { name, customer, phone, story: "", began, then: Then::Nothing }
}

/// One channel's broadcast.
struct News<'w> {
    channel: &'w Account,
    id: String,
    /// How many get nothing, by reason: as tried.
    left_out: BTreeMap<String, u64>,
}

/// Plays it.
pub(super) async fn play(world: &World) -> Result<(), Trouble> {
    heading("Whoever has the label `spring` is to hear of the sale, on WhatsApp, Telegram and LINE.");
    let (api, people) = (world.api()?, gather(world).await?);
    let mut news = drafts(world, &api).await?;
    try_all(&api, &people, &mut news).await?;
    heading("All three are started.");
    for one in &news {
        api.post_once(&format!("/broadcasts/{}/start", one.id), &one.id, json!({})).await?.expect(202)?;
    }
    for one in &news {
        went_as_tried(world, &api, one).await?;
    }
    each_got_it_once(world)?;
    answered(world, &api, &people, &news).await?;
    show_results(&api, &news).await
}

/// They are known, each where they wrote; one of them wants no offers, and one nobody writes to.
async fn gather(world: &World) -> Result<Vec<Seeded>, Trouble> {
    let api = world.api()?;
    let mut people = Vec::new();
    for (platform, role) in &AUDIENCE {
        let known = seed::enter(world, platform, role).await?;
        let path = format!("/contacts/{}", known.contact);
        let first_name = role.name.split(' ').next();
        api.patch(&path, json!({ "first_name": first_name })).await?.expect(200)?;
        api.put(&format!("{path}/labels/spring"), None::<Value>).await?.expect(200)?;
        if role.customer == OPTED_OUT {
            let channel = world.account(platform)?.ours.id;
            let consent =
                json!({ "channel": channel, "scope": "marketing", "state": "opted_out", "source": "by phone" });
            api.put(&format!("{path}/consents"), consent).await?.expect(200)?;
        }
        if role.customer == BLOCKED {
            api.post(&format!("{path}/block"), json!({})).await?.expect(200)?;
        }
        people.push(known);
    }
    Ok(people)
}

/// The same audience everywhere; words where words may be sent, else an approved template.
async fn drafts<'w>(world: &'w World, api: &Api) -> Result<Vec<News<'w>>, Trouble> {
    let words = json!({ "text": "Hi {{first_name}}, everything in green is half price this week." });
    let template = json!({ "template": { "name": "spring_sale", "language": "en_US" } });
    let mut news = Vec::new();
    for (platform, content) in [("whatsapp", &template), ("telegram", &words), ("line", &words)] {
        let channel = world.account(platform)?;
        let body = json!({ "name": "Spring sale", "channel": channel.ours.id, "content": content,
            "audience": { "filter": "label:spring" } });
        let made = api.post("/broadcasts", body).await?.expect(201)?;
        let id = made.text("/id").unwrap_or_default().to_owned();
        news.push(News { channel, id, left_out: BTreeMap::new() });
    }
    Ok(news)
}

/// Who would get it, by which right, who would not and why: before anything leaves.
async fn try_all(api: &Api, people: &[Seeded], news: &mut [News<'_>]) -> Result<(), Trouble> {
    let mut table = table::headed(["Channel", "Tried", "By which right, or why not", "Who"]);
    let mut reached = Vec::new();
    for one in news {
        let tried = api.post(&format!("/broadcasts/{}/preview", one.id), json!({})).await?.expect(200)?.body;
        let channel = one.channel.ours.name.as_str();
        for right in list(&tried, "permitted") {
            let who: Vec<_> = list(right, "examples").filter_map(|contact| known(people, contact)).collect();
            table.add_row([channel, "gets it", text(right, "/permit/grant"), names(&who, right).as_str()]);
            reached.extend(who.iter().map(|person| person.customer));
        }
        for reason in list(&tried, "refused") {
            let who: Vec<_> = list(reason, "examples").filter_map(|one| known(people, one.get("contact")?)).collect();
            table.add_row([channel, "gets nothing", text(reason, "/reason"), names(&who, reason).as_str()]);
            one.left_out.insert(text(reason, "/reason").to_owned(), count(reason));
        }
    }
    terminal::fit(&mut table);
    println!("{table}");
    check(
        reached == REACHED,
        "each hears of it on the channel they use, and who may not be told is left out",
        &json!(reached),
    )
}

/// Waits until nobody waits any more, and compares.
async fn went_as_tried(world: &World, api: &Api, news: &News<'_>) -> Result<(), Trouble> {
    let path = format!("/broadcasts/{}", news.id);
    let detail = world
        .until("the broadcast is done", || async {
            let detail = api.get(&path).await?.expect(200)?.body;
            let is_over = |state| !["waiting", "queued", "sending"].contains(&state);
            let all = text(&detail, "/broadcast/state") == "done"
                && list(&detail, "counts").all(|count| is_over(text(count, "/state")));
            Ok(all.then_some(detail))
        })
        .await?;
    let left_out: BTreeMap<_, _> = list(&detail, "counts")
        .filter(|one| text(one, "/state") == "not_sent")
        .map(|one| (text(one, "/reason").to_owned(), count(one)))
        .collect();
    let what = format!("{}: sent, and as tried", news.channel.ours.name);
    check(left_out == news.left_out && reached(&detail) == 1, &what, &json!(left_out))
}

/// The platforms' own word.
fn each_got_it_once(world: &World) -> Result<(), Trouble> {
    let mut got: Vec<_> = world.control().ledger().into_iter().map(|send| send.customer).collect();
    got.retain(|customer| AUDIENCE.iter().any(|(_, role)| role.customer == customer));
    got.sort();
    check(got == REACHED, "the platforms took three messages, one for each of them", &json!(got))
}

/// An hour later one of them answers: their conversation opens for the author, because of the broadcast's message.
async fn answered(world: &World, api: &Api, people: &[Seeded], news: &[News<'_>]) -> Result<(), Trouble> {
    heading("An hour later Tomas answers.");
    world.clock.advance(Duration::HOUR);
    let tomas = people.iter().find(|person| person.customer == ANSWERS);
    let tomas = tomas.ok_or_else(|| Trouble::new("Tomas is not there"))?;
    let telegram = world.account(tomas.platform)?;
    world.control().writes(&telegram.at_sandbox, ANSWERS, "The sofa too?").map_err(Trouble::new)?;
    let conversation = tomas.conversation.ok_or_else(|| Trouble::new("Tomas has no conversation"))?;
    let path = format!("/conversations/{conversation}");
    let open = world
        .until("his conversation opens", || async {
            let now = api.get(&path).await?.expect(200)?.body;
            Ok((text(&now, "/status") == "open").then_some(now))
        })
        .await?;
    let me = api.get("/me").await?.expect(200)?.body;
    let is_mine = open.pointer("/assignee/agent") == me.pointer("/agent/id");
    check(
        is_mine,
        "his conversation opens for the broadcast's author",
        me.pointer("/agent/name").unwrap_or(&Value::Null),
    )?;
    let sent_by = news.iter().find(|one| one.channel.ours.id == telegram.ours.id).map_or("", |one| &one.id);
    let recipients = api.get(&format!("/broadcasts/{sent_by}/recipients")).await?.expect(200)?.body;
    let contact = json!(tomas.contact);
    let sent =
        list(&recipients, "items").find(|one| one.get("contact") == Some(&contact)).and_then(|one| one.get("message"));
    let episodes = api.get(&format!("{path}/episodes")).await?.expect(200)?.body;
    let is_it = |episode: &Value| text(episode, "/cause") == "answer" && episode.get("cause_message") == sent;
    let happened = sent.is_some() && list(&episodes, "items").any(is_it);
    check(happened, "because of the broadcast's message, which it shows", &Value::Null)
}

async fn show_results(api: &Api, news: &[News<'_>]) -> Result<(), Trouble> {
    let mut table = table::headed(["Channel", "Audience", "Reached", "Left out", "Answered"]);
    let mut answers = 0;
    for one in news {
        let detail = api.get(&format!("/broadcasts/{}", one.id)).await?.expect(200)?.body;
        let number = |name: &str| detail.get(name).and_then(Value::as_u64).unwrap_or_default();
        let left_out = one.left_out.iter().map(|(reason, count)| format!("{count} {reason}")).collect::<Vec<_>>();
        let (audience, answered) = (number("recipients").to_string(), number("answered"));
        let reached = reached(&detail).to_string();
        table.add_row([one.channel.ours.name.clone(), audience, reached, left_out.join("\n"), answered.to_string()]);
        answers += answered;
    }
    terminal::fit(&mut table);
    println!("{table}");
    check(answers == 1, "and the broadcast counts his answer", &Value::Null)
}

/// How many the platforms have taken it for.
fn reached(detail: &Value) -> u64 {
    let is_out = |count: &&Value| ["sent", "delivered", "read"].contains(&text(count, "/state"));
    list(detail, "counts").filter(is_out).map(count).sum()
}

fn known<'p>(people: &'p [Seeded], contact: &Value) -> Option<&'p Seeded> {
    people.iter().find(|person| &json!(person.contact) == contact)
}

/// By name, those of whom there is an example; the others as a number.
fn names(who: &[&Seeded], group: &Value) -> String {
    let more = count(group).saturating_sub(who.len() as u64);
    let names = who.iter().map(|person| person.name.to_owned());
    names.chain((more > 0).then(|| format!("and {more} more"))).collect::<Vec<_>>().join("\n")
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn count(group: &Value) -> u64 {
    group.get("count").and_then(Value::as_u64).unwrap_or_default()
}
