//! Conditions that stand in tables of their own: search terms, labels, tags, blocks, custom fields, accounts of a contact.
//!
//! Each is used in one of three ways. Of few members the list is made: they are read, and what belongs to each is looked up. Of
//! more they are read once and kept at hand while an index is walked that has the list's order: whether a row belongs costs next
//! to nothing. Of many it is looked up, row by row. Which of the three [is decided](super::weights) by counting the members, up to
//! a bound, in an index.

use transom_domain::{FieldKind, FieldValue};
use uuid::Uuid;

use super::conditions::{ContactCondition, FieldTest, Find};
use super::search::{self, Alternative, Lead, Words, after_prefix};
use super::statement::Sql;
use super::weights::KEPT;
use super::{couples, marks};

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
    /// Contacts with such a value in a custom field.
    Filled(Uuid, FieldTest),
    /// Conversations with one of these tags.
    Tagged(Vec<String>),
    /// Conversations whose customer last gave one of these scores.
    Scored(Vec<u8>),
    /// Contacts whose ids are known: a value, and the select around it.
    These(String, [&'static str; 2]),
}

/// A set with what the list wants of it.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    /// Whether to be in it; if not, to be outside.
    pub(super) holds: bool,
    pub(super) set: Set,
    /// Whether it must hold and its members are few enough to be kept at hand. What a search finds never is: marks tell most at a glance.
    pub(super) is_kept: bool,
}

/// A row that is asked whether it is as wished, by the names of its columns.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    contact: &'static str,
    conversation: &'static str,
    marks: &'static str,
}

impl Asked {
    /// A row of `conversations c`.
    pub(super) const CONVERSATION: Self = Self { contact: "c.contact_id", conversation: "c.id", marks: "c.marks" };
    /// A row of `contacts c`.
    pub(super) const CONTACT: Self = Self { contact: "c.id", conversation: "NULL", marks: "c.marks" };
    /// A row of `contact_terms t`.
    const TERM: Self = Self { contact: "t.contact_id", conversation: "NULL", marks: "t.marks" };
}

impl Wish {
    pub(super) fn new(holds: bool, set: Set) -> Self {
        Self { holds, set, is_kept: false }
    }

    /// What a condition asks of contacts; `accounts` stand for its platforms. `None` for ids, which are a column.
    pub(super) fn of(
        holds: bool,
        condition: &ContactCondition,
        accounts: impl Fn(&[String]) -> Vec<Uuid>,
    ) -> Option<Self> {
        let set = match condition {
            ContactCondition::Id(_) => return None,
            ContactCondition::Label(labels) => Set::Labelled(labels.clone()),
            ContactCondition::Blocked(blocked) => return Some(Self::new(holds == *blocked, Set::Blocked)),
            ContactCondition::Platform(platforms) => Set::Known(accounts(platforms)),
            ContactCondition::Account(accounts) => Set::Known(accounts.iter().map(|id| id.uuid()).collect()),
            ContactCondition::Field(field, test) => Set::Filled(field.uuid(), test.clone()),
            ContactCondition::Found(finds) => Set::Found(finds.iter().flat_map(search::alternatives).collect()),
        };
        Some(Self::new(holds, set))
    }

    /// What a text finds; nothing for a blank one.
    pub(super) fn found(text: Option<&str>) -> Option<Self> {
        let text = search::asked(text)?;
        Some(Self::new(true, Set::Found(search::alternatives(&Find::anything(text)))))
    }

    /// Adds ` AND …`: whether a row is as wished.
    pub(super) fn ask(&self, statement: &mut Sql, asked: Asked) {
        let Asked { contact, conversation, .. } = asked;
        if self.is_kept {
            let member = if self.set.is_of_conversations() { conversation } else { contact };
            // Without `IS TRUE` this may be turned into a join that begins with the members.
            statement.push(" AND (").push(member).push(" IN (");
            self.set.members(statement, false);
            statement.push(&format!("{KEPT})) IS TRUE"));
            return;
        }
        // A scalar look-up stays one: an EXISTS may be turned into a join with the whole set. Either way it ends in `IS NOT NULL`: of
        // that PostgreSQL expects that nearly all rows are so, of `IS NULL` that hardly any is, and would rather sort those than walk
        // in their order.
        let (before, behind) = match self.holds {
            true => ("", " IS NOT NULL"),
            false => ("(CASE WHEN ", " IS NULL THEN 1 END) IS NOT NULL"),
        };
        statement.push(" AND ").push(before);
        match &self.set {
            Set::Found(alternatives) => {
                statement.push("(CASE WHEN 1 = 0");
                for alternative in alternatives {
                    statement.push(" OR ");
                    ask_alternative(statement, alternative, asked);
                }
                statement.push(" THEN 1 END)");
            }
            Set::Labelled(labels) => {
                statement
                    .push("(SELECT 1 FROM contact_labels s WHERE s.workspace_id = $1 AND s.contact_id = ")
                    .push(contact)
                    .push(" AND s.label IN ")
                    .list(labels.iter().map(String::as_str))
                    .push(" LIMIT 1)");
            }
            Set::Blocked => {
                statement.push(&format!(
                    "(SELECT 1 FROM contacts s WHERE s.workspace_id = $1 AND s.id = {contact} AND s.blocked LIMIT 1)"
                ));
            }
            Set::Known(accounts) => {
                statement
                    .push("(SELECT 1 FROM identities s WHERE s.workspace_id = $1 AND s.contact_id = ")
                    .push(contact)
                    .push(" AND s.account_id IN ")
                    .list(accounts.iter().copied())
                    .push(" LIMIT 1)");
            }
            Set::Filled(field, test) => {
                statement
                    .push("(SELECT 1 FROM contact_fields s WHERE s.workspace_id = $1 AND s.contact_id = ")
                    .push(contact)
                    .with(" AND s.field_id = ", *field);
                passes(statement, "s", test);
                statement.push(" LIMIT 1)");
            }
            Set::Tagged(tags) => {
                statement
                    .push("(SELECT 1 FROM conversation_tags s WHERE s.workspace_id = $1 AND s.conversation_id = ")
                    .push(conversation)
                    .push(" AND s.tag IN ")
                    .list(tags.iter().map(String::as_str))
                    .push(" LIMIT 1)");
            }
            Set::Scored(scores) => {
                statement
                    .push("(SELECT 1 FROM conversations s WHERE s.workspace_id = $1 AND s.id = ")
                    .push(conversation)
                    .push(" AND s.survey_score IN ")
                    .list(scores.iter().map(|score| i64::from(*score)))
                    .push(" LIMIT 1)");
            }
            // Made to be the members that a list is made of, and not to be asked.
            Set::These(..) => {
                statement.push("(CASE WHEN ").push(contact).push(" IN (");
                self.set.members(statement, false);
                statement.push(") THEN 1 END)");
            }
        }
        statement.push(behind);
    }
}

impl Set {
    /// Whether its members are conversations, not contacts.
    pub(super) fn is_of_conversations(&self) -> bool {
        matches!(self, Set::Tagged(_) | Set::Scored(_))
    }

    /// `SELECT … AS member …`: its members; if each is wanted `once`, none of them twice.
    pub(super) fn members(&self, statement: &mut Sql, once: bool) {
        let select = |single: bool| if once && !single { "SELECT DISTINCT " } else { "SELECT " };
        // Of members to be looked up the plan is the same, however many; for those kept at hand it makes room for as many as it expects.
        let any = |statement: &mut Sql, values: &[String]| {
            let values = values.iter().map(String::as_str);
            if once {
                statement.hidden(values)
            } else {
                statement.list(values)
            };
        };
        match self {
            Set::Found(alternatives) => {
                statement.push(select(false)).push("member FROM (");
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
                    .push(select(labels.len() < 2))
                    .push("contact_id AS member FROM contact_labels WHERE workspace_id = $1 AND label IN ");
                any(statement, labels);
            }
            Set::Blocked => {
                statement.push("SELECT id AS member FROM contacts WHERE workspace_id = $1 AND blocked");
            }
            Set::Known(accounts) => {
                // Without the limit SQLite would walk all contacts in their order, so as to meet none of them twice.
                statement
                    .push(select(false))
                    .push("member FROM (SELECT contact_id AS member FROM identities WHERE workspace_id = $1 AND account_id IN ")
                    .list(accounts.iter().copied())
                    .push(&format!("{KEPT}) AS known"));
            }
            Set::Filled(field, test) => {
                statement
                    .push("SELECT contact_id AS member FROM contact_fields WHERE workspace_id = $1 AND field_id = ")
                    .bind(*field);
                passes(statement, "contact_fields", test);
            }
            Set::Tagged(tags) => {
                statement
                    .push(select(tags.len() < 2))
                    .push("conversation_id AS member FROM conversation_tags WHERE workspace_id = $1 AND tag IN ");
                any(statement, tags);
            }
            Set::Scored(scores) => {
                statement
                    .push("SELECT id AS member FROM conversations WHERE workspace_id = $1 AND survey_score IS NOT NULL")
                    .push(" AND survey_score IN ")
                    .list(scores.iter().map(|score| i64::from(*score)));
            }
            Set::These(ids, [before, behind]) => {
                statement.with(before, ids.as_str()).push(behind);
            }
        }
    }
}

/// ` AND sort_key …`: what the value is compared by, and the value itself where that may be the same for several.
pub(super) fn passes(statement: &mut Sql, table: &str, test: &FieldTest) {
    match test {
        FieldTest::OneOf(values) => {
            statement.push(&format!(" AND {table}.sort_key IN ")).list(values.iter().map(FieldValue::sort_key));
            let is_cut = |kind| matches!(kind, FieldKind::Text | FieldKind::Choice);
            if values.iter().any(|value| is_cut(value.kind())) {
                statement.push(&format!(" AND {table}.value IN ")).list(values.iter().map(ToString::to_string));
            }
        }
        FieldTest::Compared(how, value) => {
            statement.with(&format!(" AND {table}.sort_key {} ", how.sign()), value.sort_key());
        }
    }
}

/// Whether there is a term that begins with each of these. Nobody is looked up without the marks of them all.
fn has_terms<'a>(
    statement: &mut Sql,
    beginnings: impl IntoIterator<Item = &'a Vec<u8>>,
    wanted: i64,
    Asked { contact, marks, .. }: Asked,
) {
    let bits = statement.named(wanted);
    statement.push("(");
    for (at, beginning) in beginnings.into_iter().enumerate() {
        statement.push(if at == 0 { "" } else { " AND " });
        // A CASE is asked in this order, whatever either part is believed to cost.
        statement.push(&format!(
            "(CASE WHEN ({marks} & {bits}) = {bits} THEN (SELECT 1 FROM contact_terms s WHERE s.workspace_id = $1 AND s.contact_id = {contact}"
        ));
        // Not a range: a planner that takes it for small would go along all terms that begin so, for each contact anew.
        let bytes = i32::try_from(beginning.len()).unwrap_or(i32::MAX);
        statement
            .with(" AND substr(s.term, 1, ", bytes)
            .with(") = ", beginning.clone())
            .push(" LIMIT 1) END) IS NOT NULL");
    }
    statement.push(")");
}

fn ask_alternative(statement: &mut Sql, alternative: &Alternative, asked: Asked) {
    match alternative {
        Alternative::Words(Words { terms, .. }) | Alternative::Prefix(Lead { terms, .. }) => {
            has_terms(statement, terms, marks::of_terms(terms), asked);
        }
        // A few at most have one address.
        Alternative::Address(_) => {
            statement.push(&format!("({} IN (", asked.contact));
            members_of_alternative(statement, alternative);
            statement.push(&format!("{KEPT})) IS TRUE"));
        }
    }
}

fn members_of_alternative(statement: &mut Sql, alternative: &Alternative) {
    match alternative {
        Alternative::Words(Words { terms, leads }) => {
            if let Some(lead) = leads.first() {
                lead.rows(statement, "t.contact_id AS member", terms);
            }
        }
        Alternative::Prefix(prefix) => prefix.rows(statement, "t.contact_id AS member", &prefix.terms),
        Alternative::Address(value) => {
            statement
                .push(
                    "SELECT i.contact_id AS member FROM identity_addresses a JOIN identities i ON i.workspace_id = $1 ",
                )
                .with("AND i.id = a.identity_id WHERE a.workspace_id = $1 AND a.value = ", value.as_str());
        }
    }
}

impl Lead {
    /// `SELECT …` of the terms `t` in its range, of contacts that have these beginnings of terms as well.
    pub(super) fn rows(&self, statement: &mut Sql, columns: &str, wanted: &[Vec<u8>]) {
        let asked = |statement: &mut Sql, others: &[&Vec<u8>]| {
            if !others.is_empty() {
                statement.push(" AND ");
                has_terms(statement, others.iter().copied(), marks::of_terms(wanted), Asked::TERM);
            }
        };
        let select = format!("SELECT {columns} FROM contact_terms t WHERE t.workspace_id = $1");
        statement.push(&select);
        let others: Vec<_> = wanted.iter().filter(|term| !self.terms.contains(term)).collect();
        match self.terms.as_slice() {
            [smaller, larger] => {
                couples::in_range(statement, [smaller, larger]);
                asked(statement, &others);
                let of_many = couples::of_many(larger);
                statement.push(" UNION ALL ").push(&select).with(" AND t.term >= ", of_many.clone());
                statement.with(" AND t.term < ", after_prefix(&of_many));
                asked(statement, &wanted.iter().collect::<Vec<_>>());
            }
            terms => {
                for term in terms {
                    statement.with(" AND t.term >= ", term.clone()).with(" AND t.term < ", after_prefix(term));
                }
                asked(statement, &others);
            }
        }
    }
}
