//! The facts of one person that were kept under two ids.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use time::OffsetDateTime;
use transom_windows::{Opening, Person, Stamped};

/// What one record of both would hold: newest values win, openings and sends are united.
pub(super) fn join_facts(left: Person, gone: Person) -> Person {
    Person {
        openings: join_openings(left.openings, gone.openings),
        sends: {
            let by_id = left.sends.into_iter().chain(gone.sends).map(|sent| (sent.id, sent));
            by_id.collect::<BTreeMap<_, _>>().into_values().collect()
        },
        first_sent_at: earliest(left.first_sent_at, gone.first_sent_at),
        wrote_before: left.wrote_before || gone.wrote_before,
        subscribed: newest(left.subscribed, gone.subscribed),
        consented: newest(left.consented, gone.consented),
        blocked_by_us: newest(left.blocked_by_us, gone.blocked_by_us),
        blocked_by_customer: newest(left.blocked_by_customer, gone.blocked_by_customer),
        opted_out_of_all: newest(left.opted_out_of_all, gone.opted_out_of_all),
        opted_out_of_marketing: newest(left.opted_out_of_marketing, gone.opted_out_of_marketing),
        unreachable: newest(left.unreachable, gone.unreachable),
        country: newest(left.country, gone.country),
        refused: latest(left.refused, gone.refused),
        refused_rights: latest(left.refused_rights, gone.refused_rights),
        used_up: latest(left.used_up, gone.used_up),
        cooling: latest(left.cooling, gone.cooling),
        newest_at: left.newest_at.max(gone.newest_at),
    }
}

fn earliest(one: Option<OffsetDateTime>, other: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
    [one, other].into_iter().flatten().min()
}

fn newest<T: Ord>(one: Option<Stamped<T>>, other: Option<Stamped<T>>) -> Option<Stamped<T>> {
    one.max(other)
}

fn latest<K: Ord>(
    mut one: BTreeMap<K, OffsetDateTime>,
    other: BTreeMap<K, OffsetDateTime>,
) -> BTreeMap<K, OffsetDateTime> {
    for (key, at) in other {
        match one.entry(key) {
            Entry::Vacant(free) => {
                free.insert(at);
            }
            Entry::Occupied(mut known) => *known.get_mut() = at.max(*known.get()),
        }
    }
    one
}

fn join_openings(left: Vec<Opening>, gone: Vec<Opening>) -> Vec<Opening> {
    let mut openings: BTreeMap<(String, Option<String>), Opening> = BTreeMap::new();
    for opening in left.into_iter().chain(gone) {
        match openings.entry((opening.kind.clone(), opening.reference.clone())) {
            Entry::Vacant(free) => {
                free.insert(opening);
            }
            Entry::Occupied(mut known) => {
                let joined = join_opening(known.get().clone(), opening);
                known.insert(joined);
            }
        }
    }
    openings.into_values().collect()
}

/// The same event, or the events of one kind.
fn join_opening(one: Opening, other: Opening) -> Opening {
    let mut recent: Vec<OffsetDateTime> = one.recent.iter().chain(&other.recent).copied().collect();
    recent.sort_unstable();
    recent.dedup();
    let is_right = one.reference.is_some();
    Opening {
        // A right counts from its event, of which a repeat may claim to be later; other kinds from their newest.
        at: if is_right { one.at.min(other.at) } else { one.at.max(other.at) },
        first_at: earliest(one.first_at, other.first_at),
        recent,
        before_recent: one.before_recent.max(other.before_recent),
        sent_since: match one.at.cmp(&other.at) {
            std::cmp::Ordering::Greater if !is_right => one.sent_since,
            std::cmp::Ordering::Less if !is_right => other.sent_since,
            _ => one.sent_since.saturating_add(other.sent_since),
        },
        ..one
    }
}
