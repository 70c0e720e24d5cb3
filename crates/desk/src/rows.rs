//! Conversations as lists show them, each decided anew. What the rows of a page share is read once.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;
use transom_domain::{ChannelAccountId, ContactId, IdentityId};
use transom_storage::{PeopleOf, Reader, StoredConversation, StoredSurvey, WorkspaceScope};
use transom_windows::{Account, Ask, Basis, Decision, Sender, Snapshot};

use crate::afterwards::{Way, afterwards};
use crate::situation::{FAR_FUTURE, Situation, Wires, wires};
use crate::{Desk, DeskError};

/// How many accounts of a page are looked up at once: more would keep connections from other pages.
const AT_ONCE: usize = 4;

/// A conversation with what may be sent in it now.
#[derive(Debug)]
pub struct ConversationRow {
    /// As stored.
    pub stored: StoredConversation,
    /// The customer's name.
    pub contact_name: Option<String>,
    /// The platform of its account.
    pub platform: String,
    /// What a person may send, decided now and not as the columns remember it.
    pub human: Decision,
    /// What automation may send.
    pub automation: Decision,
    /// What a person may send once their window has run out; `None` where no time ends it.
    pub human_afterwards: Option<Vec<Way>>,
    /// The same for automation.
    pub automation_afterwards: Option<Vec<Way>>,
    /// Its last survey, where one conversation is shown and not a list.
    pub survey: Option<StoredSurvey>,
}

impl ConversationRow {
    /// Until when a person may send free text; `None` when they may not, or without end.
    pub fn free_form_until(&self) -> Option<OffsetDateTime> {
        let free = self.human.permits().iter().filter(|permit| matches!(permit.basis(), Basis::FreeForm));
        let ends = free.map(|permit| permit.lapses_at().unwrap_or(FAR_FUTURE));
        ends.max().filter(|end| *end < FAR_FUTURE)
    }
}

/// One row of a list.
///
/// # Errors
/// As [`rows`].
pub(crate) async fn row(
    desk: &Desk,
    scope: &WorkspaceScope,
    reader: &Reader,
    stored: StoredConversation,
) -> Result<ConversationRow, DeskError> {
    let rows = rows(desk, scope, reader, vec![stored]).await?;
    rows.into_iter().next().ok_or(DeskError::NotFound { what: "conversation" })
}

/// A page of rows, in the order of the conversations.
///
/// # Errors
/// When the database fails.
pub(crate) async fn rows(
    desk: &Desk,
    scope: &WorkspaceScope,
    reader: &Reader,
    page: Vec<StoredConversation>,
) -> Result<Vec<ConversationRow>, DeskError> {
    let now = desk.now();
    let contacts: BTreeSet<ContactId> = page.iter().map(|stored| stored.contact).collect();
    let people: BTreeSet<IdentityId> = page.iter().map(|stored| stored.conversation.identity).collect();
    let people: Vec<IdentityId> = people.into_iter().collect();
    let contacts: Vec<ContactId> = contacts.into_iter().collect();
    // None of them needs another: a page waits for the slowest, and not for all in turn.
    let stored =
        Box::pin(async { Ok(futures_util::try_join!(reader.contact_names(&contacts), reader.known_people(&people))?) });
    let accounts = Box::pin(accounts(desk, scope, reader, &page, now));
    let ((names, known), (accounts, shared)) = futures_util::try_join!(stored, accounts)?;
    let mut rows = Vec::with_capacity(page.len());
    for stored in page {
        let id = stored.conversation.identity;
        // Joined to another since the page was read: looked up alone.
        let (identity, person) = match known.get(&id) {
            Some(known) => known.clone(),
            None => {
                let identity = reader.identity(id).await?.ok_or(DeskError::NotFound { what: "conversation" })?;
                let person = reader.person_facts(identity.id).await?;
                (identity, person)
            }
        };
        let wires = accounts.get(&stored.account).ok_or(DeskError::NotFound { what: "channel" })?;
        let account = shared.get(&id).cloned().unwrap_or_default();
        let situation = Situation::restore(identity, wires.clone(), &Snapshot { person, account });
        let decide = |sender| {
            let (policy, facts, ask) = (&situation.policy, &situation.facts, Ask::by(sender));
            let decision = policy.decide(facts, ask, now);
            let afterwards = afterwards(policy, facts, ask, &decision);
            (decision, afterwards)
        };
        let (human, human_afterwards) = decide(Sender::Human);
        let (automation, automation_afterwards) = decide(Sender::Automation);
        rows.push(ConversationRow {
            contact_name: names.get(&stored.contact).cloned(),
            platform: situation.account.platform.clone(),
            human,
            automation,
            human_afterwards,
            automation_afterwards,
            survey: None,
            stored,
        });
    }
    Ok(rows)
}

/// How each account of a page sends, and what it knows of each person.
type Accounts = (BTreeMap<ChannelAccountId, Wires>, BTreeMap<IdentityId, Account>);

async fn accounts(
    desk: &Desk,
    scope: &WorkspaceScope,
    reader: &Reader,
    page: &[StoredConversation],
    now: OffsetDateTime,
) -> Result<Accounts, DeskError> {
    let mut people: BTreeMap<ChannelAccountId, Vec<IdentityId>> = BTreeMap::new();
    for stored in page {
        people.entry(stored.account).or_default().push(stored.conversation.identity);
    }
    // By value: a future over borrowed keys is not `Send` for every lifetime, as a task must be.
    let ids: Vec<ChannelAccountId> = people.keys().copied().collect();
    let each = ids.into_iter().map(|id| async move { Ok::<_, DeskError>((id, wires(desk, scope, id).await?)) });
    let all: BTreeMap<ChannelAccountId, Wires> = stream::iter(each).buffer_unordered(AT_ONCE).try_collect().await?;
    let asked = all
        .iter()
        .filter_map(|(id, (account, _, policy))| Some(PeopleOf { account, policy, identities: people.get(id)? }));
    let asked: Vec<PeopleOf<'_>> = asked.collect();
    let known = reader.quota_facts_of(&asked, now).await?;
    Ok((all, known))
}
