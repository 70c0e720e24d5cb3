//! Policies rehearsed: in which conversations another policy would answer otherwise, now and without changing anything.
//!
//! Conversations are walked a page at a time, so that any number takes the same memory. What a person may send and what
//! automation may send is decided by the policy in force and by the other one, from the same facts. Only what can be sent
//! counts: a grant that has another name and permits the same is no change. Events that the policy in force has no name for are
//! not in the facts, so a grant of theirs begins empty here, as it would in earnest.

use std::collections::{BTreeSet, VecDeque};

use serde::Serialize;
use time::OffsetDateTime;
use transom_domain::{ChannelAccount, ChannelAccountId, ContactId, ConversationId, IdentityId};
use transom_storage::{ConversationQuery, PeopleOf, Reader};
use transom_windows::{Ask, Basis, CategorySet, Decision, Policy, Sender, Snapshot, WindowState};

use crate::authorise::{Action, Caller, authorise};
use crate::situation::facts_of;
use crate::{Desk, DeskError};

/// How many conversations are looked at in one go.
const PAGE: u32 = 500;

/// A conversation whose answer would change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Which.
    pub conversation: ConversationId,
    /// With whom.
    pub contact: ContactId,
    /// On which account.
    pub channel: ChannelAccountId,
    /// The account's name.
    pub channel_name: String,
    /// Its platform.
    pub platform: String,
    /// What a person may send.
    pub human: Turn,
    /// What automation may send.
    pub automation: Turn,
}

/// An answer by the policy in force, and by the other one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Turn {
    /// By the policy in force.
    pub now: Answer,
    /// By the other one.
    pub then: Answer,
}

impl Turn {
    /// Whether the other policy answers otherwise.
    pub fn changes(&self) -> bool {
        self.now != self.then
    }
}

/// What may be sent, whatever the grants are called.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// Whether there is a window, and whether it is open.
    pub window: WindowState,
    /// When it closes or has closed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closes_at: Option<OffsetDateTime>,
    /// What is permitted, the preferred first.
    pub permits: Vec<Allowed>,
}

/// One thing that is permitted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Allowed {
    /// `free_form`, `tagged`, `template` or `initiated`.
    pub basis: &'static str,
    /// The tag that it carries.
    pub tag: Option<String>,
    /// The categories of templates.
    pub categories: Option<CategorySet>,
    /// Whether it may advertise.
    pub promotional: bool,
    /// Until when.
    #[serde(with = "time::serde::rfc3339::option")]
    pub lapses_at: Option<OffsetDateTime>,
    /// How many are left of it.
    pub remaining: Option<u32>,
}

impl From<&Decision> for Answer {
    fn from(decision: &Decision) -> Self {
        let allowed = |permit: &transom_windows::Permit| Allowed {
            basis: permit.basis().as_str(),
            tag: permit.basis().tag().map(str::to_owned),
            categories: matches!(permit.basis(), Basis::Template { .. }).then(|| permit.categories()),
            promotional: permit.promotional(),
            lapses_at: permit.lapses_at(),
            remaining: permit.remaining(),
        };
        let window = decision.window();
        Self {
            window: window.state,
            closes_at: window.closes_at,
            permits: decision.permits().iter().map(allowed).collect(),
        }
    }
}

/// Some conversations that were looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// How many.
    pub looked: u64,
    /// Those whose answer would change.
    pub changes: Vec<Change>,
}

/// A walk through all conversations of the accounts that go by a policy.
#[derive(Debug)]
pub struct Rehearsal {
    desk: Desk,
    caller: Caller,
    policy: Policy,
    now: OffsetDateTime,
    accounts: VecDeque<ChannelAccount>,
    after: Option<ConversationId>,
}

impl Rehearsal {
    /// Begins with a policy that would be in force instead of the one named `instead_of`, or else of the one of its own name.
    ///
    /// # Errors
    /// [`DeskError::Invalid`] if no policy of that name is in force, or it is one for another platform.
    pub async fn begin(
        desk: &Desk,
        caller: &Caller,
        policy: Policy,
        instead_of: Option<&str>,
    ) -> Result<Self, DeskError> {
        authorise(caller, Action::RehearsePolicies)?;
        let name = instead_of.unwrap_or(policy.name());
        let Some(in_force) = desk.policies().get(name) else {
            let known: Vec<&str> = desk.policies().iter().map(Policy::name).collect();
            let detail = format!("no policy `{name}` is in force, and there are {}", known.join(", "));
            return Err(DeskError::invalid("policy_unknown", "instead_of", detail));
        };
        if in_force.platform() != policy.platform() {
            let (theirs, ours) = (in_force.platform(), policy.platform());
            let detail = format!("the policy `{name}` is for {theirs}, and the one to rehearse for {ours}");
            return Err(DeskError::invalid("policy_invalid", "policy", detail));
        }
        let accounts = desk.reader(&caller.scope).accounts().await?;
        let goes_by_it = |account: &ChannelAccount| account.policy == name && account.removed_at.is_none();
        let accounts = accounts.into_iter().filter(goes_by_it).collect();
        Ok(Self { desk: desk.clone(), caller: caller.clone(), policy, now: desk.now(), accounts, after: None })
    }

    /// Looks at the next conversations; `None` once there are no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&mut self) -> Result<Option<Page>, DeskError> {
        while let Some(account) = self.accounts.front() {
            let reader = self.desk.reader(&self.caller.scope);
            let theirs = ConversationQuery { accounts: vec![account.id], ..ConversationQuery::new(self.now) };
            let ids = reader.conversation_ids(&theirs, self.after, PAGE).await?;
            if let Some(last) = ids.last() {
                let page = self.look(&reader, account, &ids).await?;
                self.after = Some(*last);
                return Ok(Some(page));
            }
            self.accounts.pop_front();
            self.after = None;
        }
        Ok(None)
    }

    async fn look(&self, reader: &Reader, account: &ChannelAccount, ids: &[ConversationId]) -> Result<Page, DeskError> {
        let in_force = self.desk.policy_of(account)?;
        let conversations = reader.conversations_of(ids).await?;
        let people: BTreeSet<IdentityId> = conversations.iter().map(|stored| stored.conversation.identity).collect();
        let people: Vec<IdentityId> = people.into_iter().collect();
        let known = reader.known_people(&people).await?;
        let by = |policy| [PeopleOf { account, policy, identities: &people }];
        let shared = reader.quota_facts_of(&by(in_force), self.now).await?;
        let shared_then = reader.quota_facts_of(&by(&self.policy), self.now).await?;
        let mut page = Page { looked: conversations.len() as u64, changes: Vec::new() };
        for stored in conversations {
            let id = stored.conversation.identity;
            // Joined to another since the page was read: looked at there.
            let Some((identity, person)) = known.get(&id) else { continue };
            let restore = |policy: &Policy, account: Option<&transom_windows::Account>| {
                let snapshot = Snapshot { person: person.clone(), account: account.cloned().unwrap_or_default() };
                facts_of(identity, policy, &snapshot).0
            };
            let (now, then) = (restore(in_force, shared.get(&id)), restore(&self.policy, shared_then.get(&id)));
            let turn = |sender| Turn {
                now: Answer::from(&in_force.decide(&now, Ask::by(sender), self.now)),
                then: Answer::from(&self.policy.decide(&then, Ask::by(sender), self.now)),
            };
            let (human, automation) = (turn(Sender::Human), turn(Sender::Automation));
            if human.changes() || automation.changes() {
                page.changes.push(Change {
                    conversation: stored.conversation.id,
                    contact: stored.contact,
                    channel: account.id,
                    channel_name: account.name.clone(),
                    platform: account.platform.clone(),
                    human,
                    automation,
                });
            }
        }
        Ok(page)
    }
}
