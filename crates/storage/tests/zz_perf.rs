#![allow(clippy::all, clippy::pedantic, missing_docs, dead_code, unused)]
#[macro_use]
mod people_support;
use people_support::*;
use std::time::Instant;
use time::Duration;
use serde_json::json;
use transom_windows::Person;

fn facts() -> Person {
    Person {
        openings: vec![transom_windows::Opening { kind: "message".into(), reference: None, at: NOON, first_at: None, recent: vec![], before_recent: None, sent_since: 0 }],
        wrote_before: true,
        newest_at: Some(NOON),
        ..Person::default()
    }
}


static T: [std::sync::atomic::AtomicU64; 6] = [const { std::sync::atomic::AtomicU64::new(0) }; 6];
fn lap(n: usize, started: &mut Instant) { T[n].fetch_add(started.elapsed().as_micros() as u64, std::sync::atomic::Ordering::Relaxed); *started = Instant::now(); }
fn laps() -> Vec<u64> { T.iter().map(|t| t.swap(0, std::sync::atomic::Ordering::Relaxed)).collect() }

async fn apply(tx: &Tx, seed: &PersonSeed, fresh: &Conversation, n: i64) -> Result<(), StorageError> {
    let at = NOON + Duration::seconds(n);
    let mut s = Instant::now();
    tx.first_sight(seed.account, &format!("key-{}", UuidV7.next()), None, NOON).await?;
    lap(0, &mut s);
    let met = tx.meet(seed, NOON).await?;
    lap(1, &mut s);
    let stored = if met.new_identity {
        let fresh = Conversation { identity: met.identity.id, ..fresh.clone() };
        tx.lock_or_insert_conversation(&fresh, met.contact, seed.account, NOON).await?
    } else {
        match tx.lock_conversation_of(met.identity.id, "").await? { Some(s) => s, None => panic!() }
    };
    lap(2, &mut s);
    let new = inbound(&stored, "hello there", at);
    let touch = touch(&new, false);
    let window = WindowColumns { closes_at: Some(at + Duration::DAY), free_form_until: Some(at + Duration::DAY), policy_version: "a@1".into(), recompute_at: Some(at + Duration::DAY) };
    tx.file_inbound(&new, &touch, &facts(), &window, NOON).await?;
    lap(3, &mut s);
    tx.emit(&NewEvent { id: id(), kind: "message.received".into(), conversation: Some(stored.conversation.id), contact: Some(met.contact), data: json!({"message": new.message.id}), at }).await?;
    lap(4, &mut s);
    Ok(())
}

async fn run(desk: &Desk, tasks: usize, per_task: usize, batch: usize, new: bool) -> f64 {
    let started = Instant::now();
    let mut set = tokio::task::JoinSet::new();
    for t in 0..tasks {
        let desk = desk.clone();
        set.spawn(async move {
            let mut n = 0;
            while n < per_task {
                let mut items = Vec::new();
                for k in 0..batch {
                    let user = if new { format!("u{}", UuidV7.next()) } else { format!("known-{}", (t * 40 + (n + k) % 40)) };
                    let seed = PersonSeed { at: NOON + Duration::seconds((n + k) as i64), ..desk.named(&[("user_id", &user)], "Mara Klein") };
                    let fresh = conversation(seed.identity, "");
                    items.push((seed, fresh));
                }
                items.sort_by(|a, b| a.0.addresses[0].value.cmp(&b.0.addresses[0].value));
                n += batch;
                in_tx!(desk, [items], tx => {
                    for (k, (seed, fresh)) in items.into_iter().enumerate() {
                        tx.savepoint(move |tx| Box::pin(async move { apply(tx, &seed, &fresh, (n + k) as i64).await })).await?;
                    }
                    Ok(())
                }).unwrap();
            }
        });
    }
    while let Some(r) = set.join_next().await { r.unwrap(); }
    (tasks * per_task) as f64 / started.elapsed().as_secs_f64()
}

async fn raw_pg(desk: &Desk, db: &TestDatabase, tasks: usize, per_task: usize) -> f64 {
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(tasks as u32).connect(db.url()).await.unwrap();
    let ws = desk.scope.workspace().uuid();
    let account = desk.account.uuid();
    let started = Instant::now();
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..tasks {
        let pool = pool.clone();
        set.spawn(async move {
            for _ in 0..per_task {
                let next = || UuidV7.next();
                let (contact, identity, conv, msg, ev) = (next(), next(), next(), next(), next());
                let user = format!("u{}", next());
                sqlx::query("WITH k AS (INSERT INTO dedupe_keys (workspace_id, account_id, event_key, seen_at) VALUES ($1,$2,$8,1)), \
                 c AS (INSERT INTO contacts (workspace_id,id,profile,profile_at,profile_until,blocked,version,created_at,updated_at) VALUES ($1,$3,$9,$10,1,false,1,1,1)), \
                 t AS (INSERT INTO contact_terms (workspace_id,term,contact_id) VALUES ($1,'\\x6e6d617261',$3),($1,'\\x6e6b6c65696e',$3)), \
                 i AS (INSERT INTO identities (workspace_id,id,contact_id,account_id,addresses,facts,created_at,updated_at) VALUES ($1,$4,$3,$2,$11,$12,1,1)), \
                 a AS (INSERT INTO identity_addresses (workspace_id,account_id,kind,value,identity_id) VALUES ($1,$2,'user_id',$8,$4)), \
                 v AS (INSERT INTO conversations (workspace_id,id,identity_id,contact_id,account_id,thread,status,tab,episode_id,episodes,status_since,window_policy_version,active_at,last_message_at,last_inbound_at,waiting_since,preview,window_closes_at,free_form_until,closing_at,window_recompute_at,version,created_at,updated_at) \
                    VALUES ($1,$5,$4,$3,$2,'','open','open',$5,1,1,'a@1',$13,$13,$13,$13,'hello there',$13,$13,$13,$13,1,1,1)), \
                 m AS (INSERT INTO messages (workspace_id,id,conversation_id,contact_id,identity_id,account_id,kind,direction,author,content,provider_id,extra,at,stored_at) VALUES ($1,$6,$5,$3,$4,$2,'reply','inbound',$14,$15,$8,'{}',$13,1)) \
                 INSERT INTO events (workspace_id,id,kind,conversation_id,contact_id,data,at) VALUES ($1,$7,'message.received',$5,$3,$16,1)")
                .bind(ws).bind(account).bind(contact).bind(identity).bind(conv).bind(msg).bind(ev).bind(&user)
                .bind(json!({"name":"Mara Klein"})).bind(json!({"name":1})).bind(json!([{"kind":"user_id","value":user}]))
                .bind(serde_json::to_string(&facts()).unwrap()).bind(1_700_000_000_000_i64)
                .bind(json!({"kind":"customer"})).bind(json!({"body":{"type":"text","text":"hello there"}})).bind(json!({"message":msg}))
                .execute(&pool).await.unwrap();
            }
        });
    }
    while let Some(r) = set.join_next().await { r.unwrap(); }
    (tasks * per_task) as f64 / started.elapsed().as_secs_f64()
}


#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn perf() {
    for pg in [true, false] {
        let db = if pg { TestDatabase::postgres().await.unwrap() } else { TestDatabase::sqlite() };
        let desk = Desk::open(&db).await;
        for u in 0..320 { desk.customer(&format!("known-{u}")).await; }
        laps();
        for round in 0..3 {
            if pg { eprintln!("PERF pg raw 1: {:.0}", raw_pg(&desk, &db, 1, 600).await); eprintln!("PERF pg raw 6: {:.0}", raw_pg(&desk, &db, 6, 200).await); }
            for tasks in if pg { vec![1, 6] } else { vec![1] } {
                eprintln!("PERF pg={pg} new {tasks} batch 20: {:.0} {:?}", run(&desk, tasks, 600, 20, true).await, laps());
                eprintln!("PERF pg={pg} known {tasks} batch 20: {:.0} {:?}", run(&desk, tasks, 600, 20, false).await, laps());
            }
        }
    }
}
