//! The workspace's own rules: what the platform would allow and we still don't do.

use serde::Serialize;
use time::OffsetDateTime;
use transom_channel::Channel;
use transom_domain::{ChannelAccount, ContactId, ConversationId, Settings, Status};
use transom_storage::{Reader, StoredConversation, Tx};
use transom_windows::Sender;

use crate::{DeskError, quiet};

/// What the house rules look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct HouseRules {
    /// The conversation's status; `None` for one that does not exist yet.
    pub(crate) status: Option<Status>,
    /// Another conversation of the contact that is open or snoozed, where the setting forbids a second one.
    pub(crate) active_elsewhere: Option<ConversationId>,
    /// The message opens a thread and has no tag, where the setting wants one.
    pub(crate) tag_missing: bool,
    /// The account is switched off by an administrator.
    pub(crate) account_disabled: bool,
    /// The account was removed.
    pub(crate) account_removed: bool,
    /// Until when the customer is let sleep, if it is night for them.
    pub(crate) quiet_until: Option<OffsetDateTime>,
    /// It is of a bot that does not serve the account.
    pub(crate) bot_unbound: bool,
    /// It is a letter that answers nothing of the person's: what their writing allows is to answer it.
    pub(crate) unsolicited: bool,
}

/// What a house rule says against a message, and what would change that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum HouseReason {
    /// Bots answer in closed conversations only.
    BotPaused {
        /// What to do.
        remedy: &'static str,
    },
    /// The bot does not serve the account.
    BotUnbound {
        /// What to do.
        remedy: &'static str,
    },
    /// Another conversation of this contact is active.
    ActiveConversation {
        /// Which one.
        conversation: ConversationId,
        /// What to do.
        remedy: &'static str,
    },
    /// A message that opens a thread needs a tag.
    TagRequired {
        /// What to do.
        remedy: &'static str,
    },
    /// The account is switched off.
    AccountDisabled {
        /// What to do.
        remedy: &'static str,
    },
    /// The account was removed.
    ChannelRemoved {
        /// What to do.
        remedy: &'static str,
    },
    /// It is night where the customer is.
    QuietHours {
        /// When it ends.
        #[serde(with = "time::serde::rfc3339")]
        until: OffsetDateTime,
        /// What to do.
        remedy: &'static str,
    },
    /// They may be answered, and want no mail that they did not ask for.
    AnswersOnly {
        /// What to do.
        remedy: &'static str,
    },
}

impl HouseReason {
    /// They may be answered only.
    pub(crate) const ANSWERS_ONLY: Self =
        HouseReason::AnswersOnly { remedy: "answer a letter that they wrote, in its conversation" };

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            HouseReason::BotPaused { .. } => "bot_paused",
            HouseReason::BotUnbound { .. } => "bot_unbound",
            HouseReason::ActiveConversation { .. } => "active_conversation",
            HouseReason::TagRequired { .. } => "tag_required",
            HouseReason::AccountDisabled { .. } => "account_disabled",
            HouseReason::ChannelRemoved { .. } => "channel_removed",
            HouseReason::QuietHours { .. } => "quiet_hours",
            HouseReason::AnswersOnly { .. } => "answers_only",
        }
    }

    /// What to do.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            HouseReason::BotPaused { remedy }
            | HouseReason::BotUnbound { remedy }
            | HouseReason::ActiveConversation { remedy, .. }
            | HouseReason::TagRequired { remedy }
            | HouseReason::AccountDisabled { remedy }
            | HouseReason::ChannelRemoved { remedy }
            | HouseReason::QuietHours { remedy, .. }
            | HouseReason::AnswersOnly { remedy } => remedy,
        }
    }
}

/// Everything the house says against a message of this sender.
pub(crate) fn reasons(rules: &HouseRules, sender: Sender) -> Vec<HouseReason> {
    let mut reasons = Vec::new();
    if rules.account_removed {
        reasons.push(HouseReason::ChannelRemoved { remedy: "write to the contact over another channel" });
    } else if rules.account_disabled {
        reasons.push(HouseReason::AccountDisabled { remedy: "an administrator switches the account on" });
    }
    if sender == Sender::Bot && rules.status.is_some_and(|status| status != Status::Closed) {
        reasons.push(HouseReason::BotPaused { remedy: "bots answer once the conversation is closed" });
    }
    if rules.bot_unbound && sender == Sender::Bot {
        reasons.push(HouseReason::BotUnbound { remedy: "an administrator binds the bot to the channel" });
    }
    if let Some(conversation) = rules.active_elsewhere {
        let remedy = "answer in that conversation, or close it first";
        reasons.push(HouseReason::ActiveConversation { conversation, remedy });
    }
    if rules.tag_missing && sender == Sender::Human {
        reasons.push(HouseReason::TagRequired {
            remedy: "give at least one of the workspace's tags as `conversation_tags`",
        });
    }
    if let Some(until) = rules.quiet_until.filter(|_| keeps_quiet(sender)) {
        reasons.push(HouseReason::QuietHours { until, remedy: "it waits for the end of the customer's quiet hours" });
    }
    reasons
}

/// Whom quiet hours concern: a person's answer is welcome at any hour.
pub(crate) fn keeps_quiet(sender: Sender) -> bool {
    matches!(sender, Sender::Broadcast | Sender::Automation)
}

impl HouseRules {
    /// For a conversation that is there, without the rules about opening a thread.
    pub(crate) fn of(status: Status, enabled: bool) -> Self {
        Self { status: Some(status), account_disabled: !enabled, ..Self::default() }
    }

    /// For a message to a contact over an account: into this conversation, or into one that it begins. `tags` says whether it
    /// brings tags of its own.
    pub(crate) async fn towards(
        reader: &Reader,
        settings: &Settings,
        (account, channel): (&ChannelAccount, &dyn Channel),
        (contact, stored): (ContactId, Option<&StoredConversation>),
        tags: bool,
    ) -> Result<Self, DeskError> {
        let own = stored.map(|stored| stored.conversation.id);
        let active = if settings.one_active_conversation_per_contact {
            reader.other_active_conversation(contact, own).await?
        } else {
            None
        };
        let has_tags = tags || stored.is_some_and(|stored| !stored.tags.is_empty());
        let rules = Self { status: stored.map(|stored| stored.conversation.status), ..Self::default() }.over(account);
        Ok(rules.opening(settings, active, has_tags, channel.capabilities().threads))
    }

    /// The same for one that is about to be stored: two who write on two channels at once lock no row in common, so that they
    /// take turns, and the second sees what the first has opened.
    pub(crate) async fn opening_turn(
        tx: &Tx,
        settings: &Settings,
        over: (&ChannelAccount, &dyn Channel),
        to: (ContactId, Option<&StoredConversation>),
        tags: bool,
    ) -> Result<Self, DeskError> {
        if settings.one_active_conversation_per_contact {
            tx.take_turn(&format!("active {}", to.0)).await?;
        }
        Self::towards(tx, settings, over, to, tags).await
    }

    /// For a message that leaves later: what customers and agents change from hour to hour is judged then.
    pub(crate) fn for_later(self) -> Self {
        Self { status: None, active_elsewhere: None, ..self }
    }

    /// For an account that may have been removed.
    pub(crate) fn over(mut self, account: &ChannelAccount) -> Self {
        self.account_disabled = !account.enabled;
        self.account_removed = account.removed_at.is_some();
        self
    }

    /// With the customer's quiet hours, where they concern the sender.
    pub(crate) async fn by_the_clock(
        mut self,
        reader: &Reader,
        settings: &Settings,
        sender: Sender,
        contact: ContactId,
        now: OffsetDateTime,
    ) -> Result<Self, DeskError> {
        if settings.quiet_hours.is_some() && keeps_quiet(sender) {
            let stored = reader.contact(contact).await?;
            self.quiet_until =
                stored.and_then(|stored| quiet::quiet_until(settings, &quiet::whereabouts(&stored), now));
        }
        Ok(self)
    }

    /// With the rules about opening a thread.
    fn opening(
        mut self,
        settings: &Settings,
        active_elsewhere: Option<ConversationId>,
        has_tags: bool,
        threaded: bool,
    ) -> Self {
        // Answering inside the active conversation is always allowed, and mail is exempt: it has threads.
        let opens = self.status.is_none_or(|status| status == Status::Closed);
        if opens {
            self.active_elsewhere =
                active_elsewhere.filter(|_| settings.one_active_conversation_per_contact && !threaded);
            self.tag_missing = settings.tags_required && !has_tags;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn bots_answer_in_closed_conversations_only() {
        let until = datetime!(2026-11-21 10:00 UTC);
        for (status, refused) in [(Status::Closed, false), (Status::Open, true), (Status::Snoozed { until }, true)] {
            let rules = HouseRules::of(status, true);
            assert_eq!(!reasons(&rules, Sender::Bot).is_empty(), refused, "{status:?}");
            assert!(reasons(&rules, Sender::Human).is_empty());
        }
    }

    #[test]
    fn a_tag_is_asked_for_only_where_a_thread_opens() {
        let settings = Settings { tags_required: true, ..Settings::default() };
        let opening = HouseRules::of(Status::Closed, true).opening(&settings, None, false, false);
        assert_eq!(reasons(&opening, Sender::Human)[0].code(), "tag_required");
        let answering = HouseRules::of(Status::Open, true).opening(&settings, None, false, false);
        assert!(reasons(&answering, Sender::Human).is_empty());
    }
}
