//! Which action each operation is: the rows of the table in docs/api.md. The desk itself asks for them.

use transom_desk::Action;

/// The action of an operation; `None` for those that everybody signed in may do.
pub type Row = (&'static str, Option<Action>);

/// Every operation, by its id in the document.
pub const OPERATIONS: &[Row] = &[
    ("me", None),
    ("listAgents", Some(Action::ReadAgents)),
    ("addAgent", Some(Action::ManageAgents)),
    ("changeAgent", Some(Action::ManageAgents)),
    ("listTeams", Some(Action::ReadAgents)),
    ("addTeam", Some(Action::ManageAgents)),
    ("listTokens", Some(Action::ManageAgents)),
    ("createToken", Some(Action::ManageAgents)),
    ("revokeToken", Some(Action::ManageAgents)),
    ("listTags", Some(Action::ReadConversations)),
    ("createTag", Some(Action::ManageSettings)),
    ("getSettings", Some(Action::ReadSettings)),
    ("changeSettings", Some(Action::ManageSettings)),
    ("listQuarantine", Some(Action::ManageQuarantine)),
    ("evaluate", Some(Action::ReadPolicies)),
    ("listPolicies", Some(Action::ReadPolicies)),
    ("getPolicy", Some(Action::ReadPolicies)),
    ("listPlatforms", Some(Action::ReadChannels)),
    ("listConnections", Some(Action::ReadChannels)),
    ("getConnection", Some(Action::ReadChannels)),
    ("changeConnection", Some(Action::ManageChannels)),
    ("removeConnection", Some(Action::ManageChannels)),
    ("listChannels", Some(Action::ReadChannels)),
    ("connectChannel", Some(Action::ManageChannels)),
    ("getChannel", Some(Action::ReadChannels)),
    ("changeChannel", Some(Action::ManageChannels)),
    ("removeChannel", Some(Action::ManageChannels)),
    ("listSenders", Some(Action::ReadChannels)),
    ("listTemplates", Some(Action::ReadChannels)),
    ("syncTemplates", Some(Action::SyncTemplates)),
    ("listContacts", Some(Action::ReadContacts)),
    ("addContact", Some(Action::WriteContacts)),
    ("getContact", Some(Action::ReadContacts)),
    ("changeContact", Some(Action::WriteContacts)),
    ("blockContact", Some(Action::BlockContacts)),
    ("unblockContact", Some(Action::BlockContacts)),
    ("refreshContact", Some(Action::WriteContacts)),
    ("getReachability", Some(Action::ReadContacts)),
    ("sendToContact", Some(Action::SendMessages)),
    ("previewToContact", Some(Action::SendMessages)),
    ("listConversations", Some(Action::ReadConversations)),
    ("getConversation", Some(Action::ReadConversations)),
    ("getWindow", Some(Action::ReadConversations)),
    ("getTimeline", Some(Action::ReadConversations)),
    ("listEpisodes", Some(Action::ReadConversations)),
    ("setStatus", Some(Action::ChangeStatus)),
    ("assign", Some(Action::Assign)),
    ("listMessages", Some(Action::ReadConversations)),
    ("sendMessage", Some(Action::SendMessages)),
    ("previewMessage", Some(Action::SendMessages)),
    ("getMessage", Some(Action::ReadConversations)),
    ("reachPerson", Some(Action::SendMessages)),
    ("settleMessage", Some(Action::SettleMessages)),
    ("listScheduled", Some(Action::ReadConversations)),
    ("changeScheduled", Some(Action::SettleMessages)),
    ("sendScheduled", Some(Action::SettleMessages)),
    ("cancelMessage", Some(Action::SettleMessages)),
    ("uploadAttachment", Some(Action::UploadFiles)),
    ("getAttachment", Some(Action::ReadConversations)),
    ("readAttachment", Some(Action::ReadConversations)),
    ("followEvents", Some(Action::ReadEvents)),
];

/// The row of an operation.
pub fn row(operation: &str) -> Option<&'static Row> {
    OPERATIONS.iter().find(|(id, _)| *id == operation)
}
