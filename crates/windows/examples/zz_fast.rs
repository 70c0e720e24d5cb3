fn main(){
 use transom_windows::*; use std::hint::black_box; use time::macros::datetime;
 let now = datetime!(2026-03-02 15:00 UTC);
 for policy in Policies::builtin().unwrap().iter() {
  for ago in [30i64, 1] { for dnow in [0i64, 100] {
   let now = now + time::Duration::days(dnow);
   let mut facts = Facts::new(Subject::new(1), policy);
   let mut at = now - time::Duration::hours(ago);
   for kind in policy.kinds() { at += time::Duration::seconds(1); let reference = kind.needs_ref().then(|| format!("{} 1", kind.name()));
     facts.apply(policy, &Event::new(at, What::Opening { kind: kind.name().to_owned(), reference })).unwrap(); }
   let grant = policy.grants()[0].name().to_owned();
   facts.apply(policy, &Event::new(at, What::Sent { id: 1, grant, reference: None, cost: 1 })).unwrap();
   let ask = Ask::by(Sender::Human);
   let mut best = f64::MAX; let mut bestd = f64::MAX; let mut n=0;
   for _ in 0..200 { let t = std::time::Instant::now(); for _ in 0..500 { n = policy.permits(black_box(&facts), black_box(ask), black_box(now)).count(); black_box(n); } best = best.min(t.elapsed().as_nanos() as f64/500.0); }
   for _ in 0..100 { let t = std::time::Instant::now(); for _ in 0..200 { black_box(policy.decide(black_box(&facts), black_box(ask), black_box(now))); } bestd = bestd.min(t.elapsed().as_nanos() as f64/200.0); }
   println!("{:20} {ago}h {dnow:3}d permits {n} {best:6.1} ns decide {bestd:7.1} ns  sz {}", policy.name(), std::mem::size_of::<Allowed>());
  }}
 }
 let mut best = f64::MAX; for _ in 0..20 { let t = std::time::Instant::now(); black_box(Policies::builtin().unwrap()); best = best.min(t.elapsed().as_micros() as f64); } println!("load {best} us");
}
