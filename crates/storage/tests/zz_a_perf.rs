#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod sending_support;
use sending_support::*;
use std::time::Instant;
use transom_storage::both_databases;
both_databases! {
    async fn cycle(db: TestDatabase) {
        let desk = Desk::open(&db).await;
        let talks = desk.talks_on(desk.account.id, 300).await;
        let mut t = [0u128; 4];
        let mut bound = ClaimBound::default();
        for talk in &talks {
            let a = Instant::now();
            desk.reply(*talk).await;
            let b = Instant::now();
            let c = desk.claim_from(&mut bound, ADA, 10, NOON + time::Duration::seconds(60)).await;
            let d = Instant::now();
            let n = desk.begin(c[0].part, NOON).await.unwrap();
            let e = Instant::now();
            desk.settle(c[0].part, n, sent(&c[0].part.to_string()), NOON).await;
            let f = Instant::now();
            for (i, x) in [b - a, d - b, e - d, f - e].into_iter().enumerate() { t[i] += x.as_micros(); }
        }
        println!("{} us: accept {} claim {} begin {} settle {}", db.url(), t[0]/300, t[1]/300, t[2]/300, t[3]/300);
    }
}
