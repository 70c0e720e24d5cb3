//! How many members a set has, and by that in which of three ways it is used.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::conditions::FieldTest;
use super::search::{Alternative, Lead, Words};
use super::sets::{Set, Wish, passes};
use super::statement::{Sql, on_postgres};
use crate::{Reader, StorageError};

/// A list is made of the members of a set if there are fewer than these, by how many conversations there are; contacts are about as
/// many.
///
/// To look a member up takes some 2.4 µs and to pass by a row 0.3: of `n` rows in the order of the list, fifty of a set's `m` members are
/// met after `50 n / m` of them. Both cost the same where `m` is the root of `6 n`.
const DRIVEN: RangeInclusive<i64> = 300..=2_500;

/// The members of a set are kept at hand if there are fewer than this. Of more, the fiftieth row is so near that to look up each
/// costs less.
pub(super) const FEW: i64 = 25_000;
/// Who has the rarest two of several words is read, to see who has the others as well, if they are fewer than this.
const FEW_OF_WORDS: i64 = 2 * FEW;
/// A list is made of those who have several words if they are fewer than this. Of more the fiftieth is so near in the order of the list
/// that their marks lead there sooner.
const READ: i64 = 1_000;
/// The end of a select of members that are kept: far more than [`FEW`], so that it leaves nobody out who came since they were counted; and a number that the planner sees, so that it knows that they fit into its memory, whatever it believes of the set: 40
/// bytes each, and 4 MiB unless told otherwise.
pub(super) const KEPT: &str = " LIMIT 100000";

impl Reader {
    /// How many members are too many to make a list of them.
    pub(super) async fn driven(&self, wishes: &[Wish]) -> Result<i64, StorageError> {
        const ROWS: &str = "rows of conversations";
        if !wishes.iter().any(|wish| wish.holds) {
            return Ok(*DRIVEN.end());
        }
        let of_rows = |rows: i64| rows.saturating_mul(6).checked_isqrt().unwrap_or_default();
        let bound = |rows: i64| of_rows(rows).clamp(*DRIVEN.start(), *DRIVEN.end());
        if let Some(rows) = self.shared.remembered.count(self.workspace, &ROWS, i64::MAX) {
            return Ok(bound(rows));
        }
        // As each database knows at once; of one that does not, as of many.
        let select = match on_postgres(self) {
            true => "SELECT CAST(reltuples AS bigint) FROM pg_class WHERE oid = to_regclass('conversations')",
            false => "SELECT max(rowid) FROM conversations",
        };
        let row = self.conn.query_one_raw(Sql::new(select).on(&self.conn)).await?;
        let rows: Option<i64> = row.map_or(Ok(None), |row| row.try_get_by_index(0))?;
        let Some(rows) = rows.filter(|rows| *rows >= 0) else { return Ok(*DRIVEN.end()) };
        self.shared.remembered.learn(self.workspace, &ROWS, rows, i64::MAX);
        Ok(bound(rows))
    }

    /// The wish from whose members the list is made: the smallest, if it has fewer than `bound`. Of the others it is known from
    /// now on whether their members are kept at hand.
    pub(super) async fn smallest(&self, wishes: &mut [Wish], bound: i64) -> Result<Option<usize>, StorageError> {
        // What is small is found for next to nothing; only where nothing is, it is worth the while to count further.
        let several = |wish: &Wish| wish.holds && wish.set.is_of_several_words();
        let further = if wishes.iter().any(several) { FEW_OF_WORDS } else { FEW };
        for counted in std::iter::once(bound).chain((bound < further).then_some(further)) {
            match self.weigh(wishes, counted).await? {
                None => return Ok(None),
                Some((at, weight)) if weight < bound => return Ok(Some(at)),
                Some(_) => {}
            }
        }
        for (at, wish) in wishes.iter_mut().enumerate().filter(|(_, wish)| wish.holds) {
            if let Some(set) = self.in_common(&wish.set).await? {
                wish.set = set;
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// The smallest wish, and about how many members it has. Nothing is counted beyond `bound`.
    async fn weigh(&self, wishes: &mut [Wish], bound: i64) -> Result<Option<(usize, i64)>, StorageError> {
        let mut counts = self.count(wishes, bound).await?.into_iter();
        let mut least = None;
        for (at, wish) in wishes.iter_mut().enumerate().filter(|(_, wish)| wish.holds) {
            let weight = wish.set.weigh(&mut counts, bound);
            wish.is_kept = weight < bound && !matches!(wish.set, Set::Found(_));
            least = least.filter(|(_, known)| *known <= weight).or(Some((at, weight)));
        }
        Ok(least)
    }

    /// The answers to the [`counters`](Set::counters) of what must hold.
    async fn count(&self, wishes: &[Wish], bound: i64) -> Result<Vec<i64>, StorageError> {
        let counters: Vec<Counter> =
            wishes.iter().filter(|wish| wish.holds).flat_map(|wish| wish.set.counters()).collect();
        let known = |counter: &Counter| self.shared.remembered.count(self.workspace, counter, bound);
        let mut counts: Vec<Option<i64>> = counters.iter().map(known).collect();
        let unknown: Vec<usize> = (0..counts.len()).filter(|at| counts.get(*at) == Some(&None)).collect();
        if !unknown.is_empty() {
            let mut statement = Sql::of(self);
            for (nth, counter) in unknown.iter().filter_map(|at| counters.get(*at)).enumerate() {
                statement.push(if nth == 0 { "SELECT " } else { ", " });
                counter.select(&mut statement, bound);
                statement.push(&format!(" AS n{nth}"));
            }
            let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
            for (nth, at) in unknown.into_iter().enumerate() {
                let count = row.as_ref().map_or(Ok(0), |row| row.try_get_by_index(nth))?;
                if let (Some(place), Some(counter)) = (counts.get_mut(at), counters.get(at)) {
                    self.shared.remembered.learn(self.workspace, counter, count, bound);
                    *place = Some(count);
                }
            }
        }
        Ok(counts.into_iter().flatten().collect())
    }

    /// Who has several words that some have each, if few have them all: a first and a family name, of which neither is rare. Without
    /// that, an index would be walked to its end for the few.
    async fn in_common(&self, set: &Set) -> Result<Option<Set>, StorageError> {
        let Set::Found(alternatives) = set else { return Ok(None) };
        let is_bounded = |alternative: &Alternative| match alternative {
            Alternative::Words(words) => words.leads.first().is_some_and(|lead| lead.is_rare),
            Alternative::Prefix(prefix) => prefix.is_rare,
            Alternative::Address(_) => true,
        };
        if !set.is_of_several_words() || !alternatives.iter().all(is_bounded) {
            return Ok(None);
        }
        if self.shared.remembered.count(self.workspace, set, READ).is_some_and(|count| count >= READ) {
            return Ok(None);
        }
        let mut statement = Sql::of(self);
        set.members(&mut statement, true);
        statement.with(" LIMIT ", READ);
        let rows = self.conn.query_all_raw(statement.on(&self.conn)).await?;
        self.shared.remembered.learn(self.workspace, set, i64::try_from(rows.len()).unwrap_or(READ), READ);
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
        let is_few = i64::try_from(ids.len()).is_ok_and(|count| count < READ);
        Ok(is_few.then(|| these(&ids, on_postgres(self))))
    }
}

/// A set of these contacts: one value, however many they are, so that one statement serves them all.
fn these(ids: &[Uuid], is_postgres: bool) -> Set {
    let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
    match is_postgres {
        true => Set::These(ids.join(","), ["SELECT unnest(string_to_array(", ", ',')::uuid[]) AS member"]),
        false => {
            Set::These(format!("[\"{}\"]", ids.join("\",\"")), ["SELECT unhex(value) AS member FROM json_each(", ")"])
        }
    }
}

impl Set {
    fn is_of_several_words(&self) -> bool {
        let several =
            |alternative: &Alternative| matches!(alternative, Alternative::Words(words) if words.terms.len() > 1);
        matches!(self, Set::Found(alternatives) if alternatives.iter().any(several))
    }

    /// Selects that together count its members, about; each column of the answer is one of them.
    fn counters(&self) -> Vec<Counter> {
        let one = |table, column, values| vec![Counter::Column(table, column, values)];
        let texts = |texts: &[String]| Wanted::Any(texts.iter().map(|text| text.as_str().into()).collect());
        match self {
            Set::Found(alternatives) => alternatives.iter().flat_map(counters_of_alternative).collect(),
            Set::Labelled(labels) => one("contact_labels", "label", texts(labels)),
            Set::Blocked => one("contacts", "blocked", Wanted::True),
            Set::Known(accounts) => {
                one("identities", "account_id", Wanted::Any(accounts.iter().map(|id| (*id).into()).collect()))
            }
            Set::Filled(field, test) => one("contact_fields", "field_id", Wanted::Filled(*field, test.clone())),
            Set::Tagged(tags) => one("conversation_tags", "tag", texts(tags)),
            Set::Scored(scores) => one(
                "conversations",
                "survey_score",
                Wanted::Any(scores.iter().map(|score| i64::from(*score).into()).collect()),
            ),
            Set::These(..) => Vec::new(),
        }
    }

    /// About how many members it has, by the answers to its [`counters`](Self::counters); the rarest lead of several words comes
    /// first from now on.
    fn weigh(&mut self, counts: &mut impl Iterator<Item = i64>, bound: i64) -> i64 {
        let mut next = || counts.next().unwrap_or(i64::MAX);
        let Set::Found(alternatives) = self else { return next() };
        let mut total = 0_i64;
        for alternative in alternatives {
            total = total.saturating_add(match alternative {
                Alternative::Words(Words { leads, .. }) => {
                    let mut counted: Vec<(i64, Lead)> = leads.drain(..).map(|lead| (next(), lead)).collect();
                    // Of two that are as rare the couple is the better one: its words need not be looked up.
                    counted.sort_unstable_by_key(|(count, lead)| (*count, Reverse(lead.terms.len())));
                    let least = counted.first().map_or(0, |(count, _)| *count);
                    let weighed = |(count, lead)| Lead { is_rare: count < bound, ..lead };
                    leads.extend(counted.into_iter().map(weighed));
                    least
                }
                Alternative::Prefix(prefix) => {
                    let count = next();
                    prefix.is_rare = count < bound;
                    count
                }
                Alternative::Address(_) => 1,
            });
        }
        total
    }
}

/// Rows of a table to count.
#[derive(Debug)]
pub(super) enum Counter {
    Column(&'static str, &'static str, Wanted),
    Terms(Lead),
}

#[derive(Debug)]
pub(super) enum Wanted {
    True,
    Any(Vec<Value>),
    Filled(Uuid, FieldTest),
}

impl Counter {
    fn select(&self, statement: &mut Sql, bound: i64) {
        statement.push("(SELECT count(*) FROM (");
        match self {
            Self::Terms(lead) => lead.rows(statement, "1", &[]),
            Self::Column(table, column, values) => {
                statement.push(&format!("SELECT 1 FROM {table} WHERE workspace_id = $1 AND {column}"));
                match values {
                    Wanted::True => {}
                    Wanted::Any(values) => {
                        statement.push(" IN ").list(values.iter().cloned());
                    }
                    Wanted::Filled(field, test) => {
                        statement.with(" = ", *field);
                        passes(statement, table, test);
                    }
                }
            }
        }
        statement.with(" LIMIT ", bound).push(") AS counted)");
    }
}

fn counters_of_alternative(alternative: &Alternative) -> Vec<Counter> {
    let terms = |lead: &Lead| Counter::Terms(Lead { is_rare: false, ..lead.clone() });
    match alternative {
        Alternative::Words(words) => words.leads.iter().map(terms).collect(),
        Alternative::Prefix(prefix) => vec![terms(prefix)],
        Alternative::Address(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use transom_domain::{Address, ContactId, IdentityId, Profile, UuidV7};
    use transom_windows::Person;

    use super::*;
    use crate::test_support::{NOON, TestDatabase, crowd};
    use crate::{PersonSeed, StorageError};

    /// Two common names that few have together are counted as few, however many have names of many words.
    #[tokio::test]
    async fn names_of_many_words_do_not_hide_that_few_have_two() {
        let db = TestDatabase::sqlite();
        let storage = db.open().await;
        let scope = db.workspace(&storage, "Acme").await;
        let accounts = crowd::fill(&storage, &scope, (0, 0), NOON).await.unwrap().accounts;
        let names = ["Priya Klein", "Maria Dubois", "Ann Bo Cy Dee Eve Flo Gus", "สมชาย ใจดีมาก"];
        let common = names.iter().flat_map(|name| std::iter::repeat_n(*name, 1_400));
        let seeds = common.chain(["Priya Dubois"; 5]).enumerate().map(|(n, name)| {
            let seed = PersonSeed {
                identity: IdentityId::new(&UuidV7),
                contact: ContactId::new(&UuidV7),
                account: accounts[0],
                addresses: vec![Address::new("user_id", format!("id-{n}"))],
                profile: Profile { name: Some(name.to_owned()), ..Profile::default() },
                at: NOON,
            };
            (seed, Person::default())
        });
        for some in seeds.collect::<Vec<_>>().chunks(500) {
            let some = some.to_vec();
            let stored = storage.transact::<_, StorageError, _>(&scope, move |tx| {
                let some = some.clone();
                Box::pin(async move { tx.insert_people(&some, NOON).await })
            });
            stored.await.unwrap();
        }
        let reader = storage.reader(&scope);
        for (text, is_few) in [("priya dubois", true), ("dub pri", true), ("ชาย ดี", false), ("priya", false)]
        {
            let mut wishes: Vec<Wish> = Wish::found(Some(text)).into_iter().collect();
            let driver = reader.smallest(&mut wishes, 1_300).await.unwrap();
            assert_eq!(driver.is_some(), is_few, "{text}");
        }
    }
}
