//! Who may do what: one table, one function.

use transom_domain::{Agent, Role};
use transom_storage::WorkspaceScope;

use crate::DeskError;

/// Somebody who signed in: one agent in one workspace.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The workspace, as the storage knows it.
    pub scope: WorkspaceScope,
    /// Who.
    pub agent: Agent,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $text:literal: $($role:ident)*;)*) => {
        /// Something a caller may be allowed to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $action,)* }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Action] = &[$(Action::$action,)*];

            /// It as a verb, for people.
            pub const fn as_str(self) -> &'static str {
                match self { $(Action::$action => $text,)* }
            }

            /// The roles that may.
            pub const fn roles(self) -> &'static [Role] {
                match self { $(Action::$action => &[$(Role::$role,)*],)* }
            }
        }
    };
}

actions! {
    /// See policies and ask them.
    ReadPolicies = "read policies": Admin Supervisor Agent Bot;
    /// See what another policy would change.
    RehearsePolicies = "rehearse policies": Admin;
    /// See connected accounts and their templates.
    ReadChannels = "read channels": Admin Supervisor Agent Bot;
    /// Connect, change and remove accounts; sync templates.
    ManageChannels = "manage channels": Admin;
    /// Ask a platform for its templates.
    SyncTemplates = "sync templates": Admin Supervisor;
    /// See contacts.
    ReadContacts = "read contacts": Admin Supervisor Agent Bot;
    /// Add and change contacts.
    WriteContacts = "change contacts": Admin Supervisor Agent;
    /// Block and unblock contacts.
    BlockContacts = "block contacts": Admin Supervisor Agent;
    /// Make one of two contacts, and take that back.
    MergeContacts = "merge contacts": Admin Supervisor Agent;
    /// Record what a customer allows and forbids.
    RecordConsent = "record consent": Admin Supervisor Agent;
    /// Change custom fields, labels and saved replies for everybody.
    ManageCatalogues = "manage custom fields, labels and saved replies": Admin Supervisor;
    /// Tag conversations.
    TagConversations = "tag conversations": Admin Supervisor Agent;
    /// See conversations and messages.
    ReadConversations = "read conversations": Admin Supervisor Agent Bot;
    /// Write to customers.
    SendMessages = "send messages": Admin Supervisor Agent Bot;
    /// Upload files to send.
    UploadFiles = "upload files": Admin Supervisor Agent Bot;
    /// Write notes for the team.
    WriteNotes = "write notes": Admin Supervisor Agent Bot;
    /// Open, snooze and close.
    ChangeStatus = "change the status": Admin Supervisor Agent;
    /// Assign to agents and teams.
    Assign = "assign conversations": Admin Supervisor Agent;
    /// Hand a conversation over to people.
    HandOver = "hand conversations over": Admin Supervisor Agent Bot;
    /// Change many conversations in one go.
    ChangeMany = "change many conversations": Admin Supervisor Agent;
    /// See jobs, and stop one's own.
    ReadJobs = "read jobs": Admin Supervisor Agent;
    /// See reports.
    ReadReports = "read reports": Admin Supervisor;
    /// Take conversations and contacts out in bulk.
    Export = "export": Admin Supervisor;
    /// Add and change contacts from a file.
    ImportContacts = "import contacts": Admin Supervisor;
    /// Erase a contact for good, and take out all that is known of one.
    EraseContacts = "erase contacts": Admin;
    /// Settle what can't be known, retry, cancel.
    SettleMessages = "settle messages": Admin Supervisor Agent;
    /// Change the words of what a colleague scheduled: it leaves under the colleague's name.
    ChangeOthersWords = "change what a colleague wrote": Admin Supervisor;
    /// See broadcasts and their recipients.
    ReadBroadcasts = "read broadcasts": Admin Supervisor Agent;
    /// Make, change and rehearse broadcasts.
    WriteBroadcasts = "write broadcasts": Admin Supervisor;
    /// Start, hold up and end broadcasts.
    SendBroadcasts = "send broadcasts": Admin Supervisor;
    /// Follow events.
    ReadEvents = "read events": Admin Supervisor Agent Bot;
    /// See the settings of the workspace.
    ReadSettings = "read settings": Admin Supervisor Agent;
    /// Change the settings of the workspace.
    ManageSettings = "change settings": Admin;
    /// See agents and teams.
    ReadAgents = "read agents": Admin Supervisor Agent;
    /// Add and change agents, teams and tokens.
    ManageAgents = "manage agents": Admin;
    /// See what bots are bound to; a bot sees its own.
    ReadBindings = "read what bots are bound to": Admin Supervisor Agent Bot;
    /// Say that somebody is away; colleagues other than oneself only by whoever runs the desk.
    SetPresence = "say who is away": Admin Supervisor Agent;
    /// See the rules for automatic assignment.
    ReadRules = "read assignment rules": Admin Supervisor Agent;
    /// Add and change the rules for automatic assignment.
    ManageRules = "manage assignment rules": Admin Supervisor;
    /// See and replay what could not be used.
    ManageQuarantine = "manage the quarantine": Admin;
    /// Say who is told what happens.
    ManageWebhooks = "manage webhooks": Admin;
    /// See who did what.
    ReadAudit = "read the audit log": Admin;
}

/// Whether the caller may, by the table.
///
/// # Errors
/// [`DeskError::Forbidden`].
pub fn authorise(caller: &Caller, action: Action) -> Result<(), DeskError> {
    if action.roles().contains(&caller.agent.role) {
        Ok(())
    } else {
        Err(DeskError::Forbidden { role: caller.agent.role.as_str(), action: action.as_str() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_may_everything_and_a_bot_never_manages() {
        for action in Action::ALL {
            assert!(action.roles().contains(&Role::Admin), "{action:?}");
            let manages = action.as_str().starts_with("manage");
            assert!(!(manages && action.roles().contains(&Role::Bot)), "{action:?}");
        }
    }
}
