-- What happens at moments of a conversation by itself: notices of windows that end, reminders, surveys.

-- window_ends_at: when free text, or after that the window, next ends; an end that is over stays until it was told. closing_told_for,
-- reminded_for: the end of which it was told that it comes, and the one for which it was decided whether to remind. missed_at: the
-- end before which nobody answered, until the customer writes again. survey_score: the last score that the customer gave.
ALTER TABLE conversations ADD COLUMN window_ends_at bigint;
ALTER TABLE conversations ADD COLUMN closing_told_for bigint;
ALTER TABLE conversations ADD COLUMN reminded_for bigint;
ALTER TABLE conversations ADD COLUMN missed_at bigint;
ALTER TABLE conversations ADD COLUMN survey_score bigint;
-- Windows that were open when this ran: they end after everything that was stored before. The far future is no end.
UPDATE conversations SET window_ends_at = closing_at
    WHERE closing_at > (SELECT max(active_at) FROM conversations) AND closing_at < 9214646400000;
-- Of some, one end was over already, and the other not.
UPDATE conversations SET window_ends_at = window_closes_at WHERE window_ends_at IS NULL
    AND window_closes_at > (SELECT max(active_at) FROM conversations) AND window_closes_at < 9214646400000;
UPDATE conversations SET window_ends_at = free_form_until WHERE window_ends_at IS NULL
    AND free_form_until > (SELECT max(active_at) FROM conversations) AND free_form_until < 9214646400000;
CREATE INDEX conversations_to_close ON conversations (workspace_id, window_ends_at) WHERE window_ends_at IS NOT NULL;
CREATE INDEX conversations_to_tell ON conversations (workspace_id, window_ends_at)
    WHERE window_ends_at IS NOT NULL AND (closing_told_for IS NULL OR closing_told_for <> window_ends_at);
CREATE INDEX conversations_to_remind ON conversations (workspace_id, window_ends_at)
    WHERE window_ends_at IS NOT NULL AND status = 'open' AND waiting_since IS NULL
    AND (reminded_for IS NULL OR reminded_for <> window_ends_at);
-- What is open, or ended and was not told yet, in the order of age: a window that ends has an end to come, one that does not is closed
-- in the far future.
CREATE INDEX lists_by_open ON conversations (workspace_id, active_at, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at)
    WHERE window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000;
CREATE INDEX conversations_by_score ON conversations (workspace_id, survey_score, id) WHERE survey_score IS NOT NULL;

-- Windows that ended while the customer waited for an answer: one row for each message that was left so. status, agent_id, team_id:
-- of the conversation at that moment. outcome: what was sent first after that, or why nothing was; acted_at, act_message_id: that
-- message. reopened_at: when the customer wrote again.
CREATE TABLE missed_windows (
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    account_id uuid NOT NULL,
    team_id uuid,
    agent_id uuid,
    status text NOT NULL,
    wrote_at bigint NOT NULL,
    ended_at bigint NOT NULL,
    outcome text NOT NULL,
    acted_at bigint,
    act_message_id uuid,
    reopened_at bigint,
    PRIMARY KEY (workspace_id, message_id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES channel_accounts (workspace_id, id)
);
CREATE INDEX missed_windows_by_time ON missed_windows (workspace_id, ended_at, message_id, team_id, account_id, outcome);
CREATE INDEX missed_windows_of_conversation ON missed_windows (workspace_id, conversation_id, ended_at);

-- One for each episode that a person closed while surveys were on. state: waiting | asked | skipped. due_at: when it is looked at next.
-- message_id: the question. score, answered_at: the newest answer, by the platform's clock.
CREATE TABLE surveys (
    workspace_id uuid NOT NULL,
    episode_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    agent_id uuid,
    state text NOT NULL,
    reason jsonb,
    due_at bigint NOT NULL,
    created_at bigint NOT NULL,
    question text,
    scale bigint,
    message_id uuid,
    asked_at bigint,
    answers_until bigint,
    score bigint,
    answered_at bigint,
    PRIMARY KEY (workspace_id, episode_id)
);
CREATE INDEX surveys_waiting ON surveys (workspace_id, due_at) WHERE state = 'waiting';
CREATE INDEX surveys_of_conversation ON surveys (workspace_id, conversation_id, created_at);

-- Customers' messages that were answers to a survey.
CREATE TABLE survey_answers (
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL,
    episode_id uuid NOT NULL,
    score bigint NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (workspace_id, message_id),
    FOREIGN KEY (workspace_id, episode_id) REFERENCES surveys (workspace_id, episode_id)
);
CREATE INDEX survey_answers_of_survey ON survey_answers (workspace_id, episode_id, at, message_id);
