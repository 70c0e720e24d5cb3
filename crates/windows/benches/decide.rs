//! What a decision costs: `cargo bench -p transom-windows`.
//!
//! The bounds are: permits on the slowest built-in policy 100 ns, the whole explanation 2 µs, loading all policies 5 ms.

#![allow(missing_docs, clippy::unwrap_used, reason = "a bench that cannot set itself up should stop")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use time::OffsetDateTime;
use time::macros::datetime;
use transom_windows::{Ask, Event, Facts, Policies, Policy, Sender, Subject, What};

const NOW: OffsetDateTime = datetime!(2026-03-02 15:00 UTC);

/// A person who has done everything that the policy knows, a while ago, and was sent a message.
fn busy(policy: &Policy) -> Facts {
    let mut facts = Facts::new(Subject::new(1), policy);
    let mut at = NOW - time::Duration::hours(30);
    for kind in policy.kinds() {
        at += time::Duration::minutes(1);
        let reference = kind.needs_ref().then(|| format!("{} 1", kind.name()));
        facts.apply(policy, &Event::new(at, What::Opening { kind: kind.name().to_owned(), reference })).unwrap();
    }
    let grant = policy.grants().first().unwrap().name().to_owned();
    facts.apply(policy, &Event::new(at, What::Sent { id: 1, grant, reference: None, cost: 1 })).unwrap();
    facts
}

fn decide(c: &mut Criterion) {
    let policies = Policies::builtin().unwrap();
    let ask = Ask::by(Sender::Human);
    for policy in policies.iter() {
        let facts = busy(policy);
        c.bench_function(&format!("permits/{}", policy.name()), |b| {
            b.iter(|| policy.permits(black_box(&facts), black_box(ask), black_box(NOW)).count());
        });
        c.bench_function(&format!("decide/{}", policy.name()), |b| {
            b.iter(|| policy.decide(black_box(&facts), black_box(ask), black_box(NOW)));
        });
    }
    c.bench_function("load/all", |b| b.iter(|| Policies::builtin().unwrap()));
}

criterion_group!(benches, decide);
criterion_main!(benches);
