//! Conditions that stand in tables of their own: search terms, labels, tags, blocks, accounts of a contact.
//!
//! Each is used in one of two ways. Of few members the list is made: they are read, and what belongs to each is looked up. Of
//! many it is only asked, row by row of an index that is in the list's order, whether the row belongs. Which of the two is
//! decided by counting the members, up to a bound, in an index.

use sea_orm::{ConnectionTrait, Value};
use uuid::Uuid;

use super::conditions::{ContactCondition, Find};
use super::search::{self, Alternative, after_prefix};
use super::statement::Sql;
use crate::{Reader, StorageError};

/// Contacts, or conversations, that have something in common.
#[derive(Debug, Clone)]
pub(super) enum Set {
    /// Contacts that a search finds.
    Found(Vec<Alternative>),
    /// Contacts with one of these labels.
    Labelled(Vec<String>),
    /// Contacts that are blocked.
    Blocked,
    /// Contacts that are known over one of these accounts.
    Known(Vec<Uuid>),
    /// Conversations with one of these tags.
    Tagged(Vec<String>),
}

/// A set with what the list wants of it.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// Whether to be in it; if not, to be outside.
    pub(super) holds: bool,
    pub(super) set: Set,
}

impl Wish {
    /// What a condition asks of contacts; `accounts` stand for its platforms. `None` for ids, which are a column.
    pub(super) fn of(
        holds: bool,
        condition: &ContactCondition,
        accounts: impl Fn(&[String]) -> Vec<Uuid>,
    ) -> Option<Self> {
        let set = match condition {
            ContactCondition::Id(_) => return None,
            ContactCondition::Label(labels) => Set::Labelled(labels.clone()),
            ContactCondition::Blocked(blocked) => return Some(Self { holds: holds == *blocked, set: Set::Blocked }),
            ContactCondition::Platform(platforms) => Set::Known(accounts(platforms)),
            ContactCondition::Account(accounts) => Set::Known(accounts.iter().map(|id| id.uuid()).collect()),
            ContactCondition::Found(finds) => Set::Found(finds.iter().flat_map(search::alternatives).collect()),
        };
        Some(Self { holds, set })
    }

    /// What a text finds; nothing for a blank one.
    pub(super) fn found(text: Option<&str>) -> Option<Self> {
        let text = search::asked(text)?;
        Some(Self { holds: true, set: Set::Found(search::alternatives(&Find::anything(text))) })
    }

    /// Adds ` AND …`: whether the row of `contact` and `conversation` is as wished.
    pub(super) fn ask(&self, statement: &mut Sql, contact: &str, conversation: &str) {
        let outcome = if self.holds { "IS NOT NULL" } else { "IS NULL" };
        // A scalar look-up stays one: an EXISTS may be turned into a join with the whole set.
        match &self.set {
            Set::Found(alternatives) => {
                statement.push(if self.holds { " AND (1 = 0" } else { " AND NOT (1 = 0" });
                for alternative in alternatives {
                    statement.push(" OR ");
                    ask_alternative(statement, alternative, contact);
                }
                statement.push(")");
            }
            Set::Labelled(labels) => {
                statement
                    .push(" AND (SELECT 1 FROM contact_labels s WHERE s.workspace_id = $1 AND s.contact_id = ")
                    .push(contact)
                    .push(" AND s.label IN ")
                    .list(labels.iter().map(String::as_str))
                    .push(&format!(" LIMIT 1) {outcome}"));
            }
            Set::Blocked => {
                statement.push(&format!(
                    " AND (SELECT 1 FROM contacts s WHERE s.workspace_id = $1 AND s.id = {contact} AND s.blocked LIMIT 1) \
                     {outcome}"
                ));
            }
            Set::Known(accounts) => {
                statement
                    .push(" AND (SELECT 1 FROM identities s WHERE s.workspace_id = $1 AND s.contact_id = ")
                    .push(contact)
                    .push(" AND s.account_id IN ")
                    .list(accounts.iter().copied())
                    .push(&format!(" LIMIT 1) {outcome}"));
            }
            Set::Tagged(tags) => {
                statement
                    .push(" AND (SELECT 1 FROM conversation_tags s WHERE s.workspace_id = $1 AND s.conversation_id = ")
                    .push(conversation)
                    .push(" AND s.tag IN ")
                    .list(tags.iter().map(String::as_str))
                    .push(&format!(" LIMIT 1) {outcome}"));
            }
        }
    }
}

impl Set {
    /// Whether its members are conversations, not contacts.
    pub(super) fn is_of_conversations(&self) -> bool {
        matches!(self, Set::Tagged(_))
    }

    /// `SELECT … AS member …`: its members, each once.
    pub(super) fn members(&self, statement: &mut Sql) {
        match self {
            Set::Found(alternatives) => {
                statement.push("SELECT DISTINCT member FROM (");
                for (at, alternative) in alternatives.iter().enumerate() {
                    statement.push(if at == 0 { "" } else { " UNION ALL " });
                    members_of_alternative(statement, alternative);
                }
                if alternatives.is_empty() {
                    statement.push("SELECT contact_id AS member FROM contact_terms WHERE workspace_id = $1 AND 1 = 0");
                }
                statement.push(") AS found");
            }
            Set::Labelled(labels) => {
                statement
                    .push("SELECT DISTINCT contact_id AS member FROM contact_labels WHERE workspace_id = $1 AND label IN ")
                    .list(labels.iter().map(String::as_str));
            }
            Set::Blocked => {
                statement.push("SELECT id AS member FROM contacts WHERE workspace_id = $1 AND blocked");
            }
            Set::Known(accounts) => {
                statement
                    .push("SELECT DISTINCT contact_id AS member FROM identities WHERE workspace_id = $1 AND account_id IN ")
                    .list(accounts.iter().copied());
            }
            Set::Tagged(tags) => {
                statement
                    .push("SELECT DISTINCT conversation_id AS member FROM conversation_tags WHERE workspace_id = $1 AND tag IN ")
                    .list(tags.iter().map(String::as_str));
            }
        }
    }

    /// Selects that together count its members, about; each column of the answer is one of them.
    fn counters(&self) -> Vec<Counter> {
        let one = |table, column, values| vec![Counter { table, column, values }];
        let texts = |texts: &[String]| Wanted::Any(texts.iter().map(|text| text.as_str().into()).collect());
        match self {
            Set::Found(alternatives) => alternatives.iter().flat_map(counters_of_alternative).collect(),
            Set::Labelled(labels) => one("contact_labels", "label", texts(labels)),
            Set::Blocked => one("contacts", "blocked", Wanted::True),
            Set::Known(accounts) => {
                one("identities", "account_id", Wanted::Any(accounts.iter().map(|id| (*id).into()).collect()))
            }
            Set::Tagged(tags) => one("conversation_tags", "tag", texts(tags)),
        }
    }

    /// About how many members it has, by the answers to its [`counters`](Self::counters); the rarest word of a name comes first
    /// from now on.
    fn weigh(&mut self, counts: &mut impl Iterator<Item = i64>) -> i64 {
        let mut next = || counts.next().unwrap_or(i64::MAX);
        let Set::Found(alternatives) = self else { return next() };
        let mut total = 0_i64;
        for alternative in alternatives {
            total = total.saturating_add(match alternative {
                Alternative::Words(words) => {
                    let mut counted: Vec<(i64, Vec<u8>)> = words.drain(..).map(|word| (next(), word)).collect();
                    counted.sort_unstable();
                    let least = counted.first().map_or(0, |(count, _)| *count);
                    words.extend(counted.into_iter().map(|(_, word)| word));
                    least
                }
                Alternative::Prefix(_) => next(),
                Alternative::Address(_) => 1,
            });
        }
        total
    }
}

/// Rows of a table to count.
struct Counter {
    table: &'static str,
    column: &'static str,
    values: Wanted,
}

enum Wanted {
    True,
    Any(Vec<Value>),
    Prefix(Vec<u8>),
}

impl Counter {
    fn select(self, statement: &mut Sql, bound: i64) {
        let Self { table, column, values } = self;
        statement.push(&format!("(SELECT count(*) FROM (SELECT 1 FROM {table} WHERE workspace_id = $1 AND {column}"));
        match values {
            Wanted::True => &mut *statement,
            Wanted::Any(values) => statement.push(" IN ").list(values),
            Wanted::Prefix(prefix) => {
                let end = after_prefix(&prefix);
                statement.with(" >= ", prefix).push(&format!(" AND {column}")).with(" < ", end)
            }
        };
        statement.with(" LIMIT ", bound).push(") AS counted)");
    }
}

fn counters_of_alternative(alternative: &Alternative) -> Vec<Counter> {
    let of_prefix =
        |prefix: &Vec<u8>| Counter { table: "contact_terms", column: "term", values: Wanted::Prefix(prefix.clone()) };
    match alternative {
        Alternative::Words(words) => words.iter().map(of_prefix).collect(),
        Alternative::Prefix(prefix) => vec![of_prefix(prefix)],
        Alternative::Address(_) => Vec::new(),
    }
}

/// ` AND term >= … AND term < …`.
fn in_range(statement: &mut Sql, table: &str, prefix: &[u8]) {
    statement
        .with(&format!(" AND {table}.term >= "), prefix.to_vec())
        .with(&format!(" AND {table}.term < "), after_prefix(prefix));
}

fn has_term(statement: &mut Sql, contact: &str, prefix: &[u8]) {
    statement.push(&format!("(SELECT 1 FROM contact_terms s WHERE s.workspace_id = $1 AND s.contact_id = {contact}"));
    in_range(statement, "s", prefix);
    statement.push(" LIMIT 1) IS NOT NULL");
}

fn ask_alternative(statement: &mut Sql, alternative: &Alternative, contact: &str) {
    match alternative {
        Alternative::Words(words) => {
            statement.push("(");
            for (at, word) in words.iter().enumerate() {
                statement.push(if at == 0 { "" } else { " AND " });
                has_term(statement, contact, word);
            }
            statement.push(")");
        }
        Alternative::Prefix(prefix) => has_term(statement, contact, prefix),
        Alternative::Address(value) => {
            statement
                .push("(SELECT 1 FROM identities s JOIN identity_addresses a ON a.workspace_id = $1 AND a.identity_id = s.id ")
                .push(&format!("WHERE s.workspace_id = $1 AND s.contact_id = {contact}"))
                .with(" AND a.value = ", value.as_str())
                .push(" LIMIT 1) IS NOT NULL");
        }
    }
}

fn members_of_alternative(statement: &mut Sql, alternative: &Alternative) {
    const TERMS: &str = "SELECT t.contact_id AS member FROM contact_terms t WHERE t.workspace_id = $1";
    match alternative {
        Alternative::Words(words) => {
            let Some((first, others)) = words.split_first() else { return };
            statement.push(TERMS);
            in_range(statement, "t", first);
            for other in others {
                statement.push(" AND ");
                has_term(statement, "t.contact_id", other);
            }
        }
        Alternative::Prefix(prefix) => {
            statement.push(TERMS);
            in_range(statement, "t", prefix);
        }
        Alternative::Address(value) => {
            statement
                .push(
                    "SELECT i.contact_id AS member FROM identity_addresses a JOIN identities i ON i.workspace_id = $1 ",
                )
                .with("AND i.id = a.identity_id WHERE a.workspace_id = $1 AND a.value = ", value.as_str());
        }
    }
}

impl Reader {
    /// The wish from whose members the list is made: the smallest, if it has fewer than `bound`.
    pub(super) async fn smallest(&self, wishes: &mut [Wish], bound: i64) -> Result<Option<usize>, StorageError> {
        let counters: Vec<Counter> =
            wishes.iter().filter(|wish| wish.holds).flat_map(|wish| wish.set.counters()).collect();
        let mut counts = Vec::with_capacity(counters.len());
        if !counters.is_empty() {
            let mut statement = Sql::of(self);
            for (at, counter) in counters.into_iter().enumerate() {
                statement.push(if at == 0 { "SELECT " } else { ", " });
                counter.select(&mut statement, bound);
                statement.push(&format!(" AS n{at}"));
                counts.push(0_i64);
            }
            let row = self.conn.query_one_raw(statement.on(&self.conn)).await?;
            for (at, count) in counts.iter_mut().enumerate() {
                *count = row.as_ref().map_or(Ok(0), |row| row.try_get_by_index(at))?;
            }
        }
        let mut counts = counts.into_iter();
        let weighed: Vec<i64> =
            wishes.iter_mut().map(|wish| if wish.holds { wish.set.weigh(&mut counts) } else { i64::MAX }).collect();
        let least = weighed.into_iter().enumerate().min_by_key(|(_, count)| *count);
        Ok(least.filter(|(_, count)| *count < bound).map(|(at, _)| at))
    }
}
