//! Lists of contacts: searched, filtered, the newest first, page by page.

use time::OffsetDateTime;
use transom_domain::ContactId;

use super::conditions::{ContactCondition, Filter};
use super::contacts::StoredContact;
use super::sets::{Asked, Wish};
use super::statement::{Sql, on_postgres};
use super::wanted::ids;
use crate::query::millis;
use crate::{Reader, StorageError};

/// Which contacts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactQuery {
    /// What to look for: words of a name, an email address, a user name, a phone number, the platform's id.
    ///
    /// Each word must begin a word of a name, without regard to case and accents; email address and user name (with or
    /// without `@`) are found by their beginning; phone numbers by 4 or more of their last digits; ids by the whole.
    pub q: Option<String>,
    /// Only those with this label.
    pub label: Option<String>,
    /// Only those that are, or are not, blocked.
    pub blocked: Option<bool>,
    /// What else must hold, or must not.
    pub filters: Vec<Filter<ContactCondition>>,
    /// Goes on behind this one: its `created_at` and id.
    pub after: Option<(OffsetDateTime, ContactId)>,
    /// How many at most.
    pub limit: u32,
}

impl ContactQuery {
    /// Every filter as a condition.
    fn conditions(&self) -> Vec<Filter<ContactCondition>> {
        let label = self.label.iter().map(|label| ContactCondition::Label(vec![label.clone()]));
        let blocked = self.blocked.into_iter().map(ContactCondition::Blocked);
        let fields = label.chain(blocked).map(Filter::is);
        self.filters.iter().cloned().chain(fields).collect()
    }

    /// Adds ` AND …` for all that is wanted, but for the wish that the rows are made from.
    fn narrow(&self, statement: &mut Sql, wishes: &[Wish], driver: Option<usize>) {
        for filter in &self.filters {
            if let Filter { holds, condition: ContactCondition::Id(contacts) } = filter {
                ids(statement, "c.id", *holds, contacts.iter().map(|id| id.uuid()));
            }
        }
        for (at, wish) in wishes.iter().enumerate() {
            if driver != Some(at) {
                wish.ask(statement, Asked::CONTACT);
            }
        }
        // Who was erased is a shell for counters. Asked last: SQLite keeps this order, and marks tell most at a glance.
        statement.push(" AND NOT EXISTS (SELECT 1 FROM erasures e WHERE e.workspace_id = $1 AND e.contact_id = c.id)");
        if let Some((at, id)) = self.after {
            statement.with(" AND (c.created_at, c.id) < (", millis(at)).with(", ", id.uuid()).push(")");
        }
    }
}

impl Reader {
    /// Contacts, the newest first.
    pub async fn contacts(&self, query: &ContactQuery) -> Result<Vec<StoredContact>, StorageError> {
        let mut query = query.clone();
        for filter in &mut query.filters {
            self.follow_aliases(&mut filter.condition).await?;
        }
        let mut wishes = self.wishes_of(&query).await?;
        let bound = self.driven(&wishes).await?;
        let driver = self.smallest(&mut wishes, bound).await?;
        self.stored_contacts(self.page_of_contacts(&query, &wishes, driver)).await
    }

    pub(super) async fn wishes_of(&self, query: &ContactQuery) -> Result<Vec<Wish>, StorageError> {
        self.wishes_of_contacts(query.q.as_deref(), &query.conditions()).await
    }

    /// The page, read from the members of the wish `driver`, or along the index of the order.
    pub(super) fn page_of_contacts(&self, query: &ContactQuery, wishes: &[Wish], driver: Option<usize>) -> Sql {
        let mut statement = Sql::of(self);
        self.select_contacts_of(&mut statement, |statement| {
            match driver.and_then(|driver| Some((wishes.get(driver)?, driver))) {
                Some((wish, driver)) if on_postgres(self) => {
                    statement.push("SELECT c.* FROM (");
                    wish.set.members(statement, true);
                    statement
                        .push(") AS d CROSS JOIN LATERAL (SELECT c.id, c.created_at FROM contacts c ")
                        .push("WHERE c.workspace_id = $1 AND c.id = d.member");
                    query.narrow(statement, wishes, Some(driver));
                    statement.push(" OFFSET 0) AS c");
                }
                Some((wish, driver)) => {
                    statement.push("SELECT c.id, c.created_at FROM (");
                    wish.set.members(statement, true);
                    statement
                        .push(") AS d CROSS JOIN contacts c")
                        .push(&self.along("contacts_by_id"))
                        .push(" WHERE c.workspace_id = $1 AND c.id = d.member");
                    query.narrow(statement, wishes, Some(driver));
                }
                None => {
                    let by_id = query
                        .filters
                        .iter()
                        .any(|filter| filter.holds && matches!(filter.condition, ContactCondition::Id(_)));
                    let along = if by_id { String::new() } else { self.along("contacts_by_time") };
                    statement
                        .push(&format!("SELECT c.id, c.created_at FROM contacts c{along} WHERE c.workspace_id = $1"));
                    query.narrow(statement, wishes, None);
                }
            }
            // Written out, as in lists of conversations.
            statement.push(&format!(" ORDER BY created_at DESC, id DESC LIMIT {}", query.limit));
        });
        statement.push(" ORDER BY c.created_at DESC, c.id DESC");
        statement
    }
}
