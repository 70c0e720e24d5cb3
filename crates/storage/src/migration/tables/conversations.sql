-- Conversations, their episodes and messages.

-- tab: what status and assignment make of it. active_at: when the last message was written, at first when the row was made.
-- last_answer_at: when a person last wrote to the customer. Derived from the facts, stamped with window_policy_version, computed
-- again at window_recompute_at, decided anew whenever shown: window_closes_at, free_form_until, closing_at (the earlier of them).
CREATE TABLE conversations (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    identity_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    account_id uuid NOT NULL,
    thread text NOT NULL,
    status text NOT NULL,
    tab text NOT NULL,
    snoozed_until bigint,
    agent_id uuid,
    team_id uuid,
    episode_id uuid NOT NULL,
    episodes bigint NOT NULL,
    status_since bigint NOT NULL,
    window_closes_at bigint,
    free_form_until bigint,
    closing_at bigint,
    window_policy_version text NOT NULL,
    window_recompute_at bigint,
    active_at bigint NOT NULL,
    last_message_at bigint,
    last_inbound_at bigint,
    last_outbound_at bigint,
    last_answer_at bigint,
    waiting_since bigint,
    preview text,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, identity_id, thread),
    FOREIGN KEY (workspace_id, identity_id) REFERENCES identities (workspace_id, id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contacts (workspace_id, id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id),
    FOREIGN KEY (workspace_id, team_id) REFERENCES teams (workspace_id, id)
);
CREATE INDEX conversations_by_time ON conversations (workspace_id, active_at, id);
CREATE INDEX conversations_by_tab ON conversations (workspace_id, tab, active_at, id);
CREATE INDEX conversations_by_account ON conversations (workspace_id, account_id, active_at, id);
CREATE INDEX conversations_by_contact ON conversations (workspace_id, contact_id, active_at, id);
CREATE INDEX conversations_by_agent ON conversations (workspace_id, agent_id, tab, active_at, id) WHERE agent_id IS NOT NULL;
CREATE INDEX conversations_by_team ON conversations (workspace_id, team_id, tab, active_at, id) WHERE team_id IS NOT NULL;
CREATE INDEX conversations_by_waiting ON conversations (workspace_id, waiting_since, id) WHERE waiting_since IS NOT NULL;
CREATE INDEX conversations_by_closing ON conversations (workspace_id, closing_at, id) WHERE closing_at IS NOT NULL;
CREATE INDEX conversations_to_wake ON conversations (workspace_id, snoozed_until) WHERE snoozed_until IS NOT NULL;
CREATE INDEX conversations_to_recompute ON conversations (workspace_id, window_recompute_at)
    WHERE window_recompute_at IS NOT NULL;

-- cause: why it opened; cause_message_id: the message that opened it, or ours that the customer answered (R-523).
CREATE TABLE episodes (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    number bigint NOT NULL,
    opened_at bigint NOT NULL,
    opened_by jsonb NOT NULL,
    cause text NOT NULL,
    cause_message_id uuid,
    closed_at bigint,
    closed_by jsonb,
    agent_id uuid,
    team_id uuid,
    category text,
    note text,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, conversation_id, number),
    FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations (workspace_id, id)
);
CREATE INDEX episodes_by_time ON episodes (workspace_id, opened_at, id);

CREATE TABLE conversation_tags (
    workspace_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    tag text NOT NULL,
    added_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, conversation_id, tag),
    FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations (workspace_id, id),
    FOREIGN KEY (workspace_id, tag) REFERENCES tags (workspace_id, name)
);
CREATE INDEX conversation_tags_by_tag ON conversation_tags (workspace_id, tag, conversation_id);

-- at: when it was written, by the platform's clock for what came in; stored_at: when we stored it.
-- provider_id: the platform's id of an inbound message or echo; outbound ones have theirs on the parts.
-- agent_id: the person who wrote it to the customer. permit: the record of the right it left by.
CREATE TABLE messages (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    identity_id uuid NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    direction text NOT NULL,
    author jsonb NOT NULL,
    agent_id uuid,
    content jsonb NOT NULL,
    state text,
    reason jsonb,
    permit jsonb,
    provider_id text,
    reply_to uuid,
    payload text,
    extra jsonb NOT NULL,
    at bigint NOT NULL,
    stored_at bigint NOT NULL,
    edited_at bigint,
    unsent_at bigint,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, account_id, provider_id),
    FOREIGN KEY (workspace_id, conversation_id) REFERENCES conversations (workspace_id, id)
);
CREATE INDEX messages_by_conversation ON messages (workspace_id, conversation_id, at, id);
CREATE INDEX messages_by_contact ON messages (workspace_id, contact_id, at, id);
CREATE INDEX messages_by_person ON messages (workspace_id, conversation_id, at, id) WHERE agent_id IS NOT NULL;

-- by_key: the author as one text, so that everybody has one reaction a message.
CREATE TABLE message_reactions (
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL,
    by_key text NOT NULL,
    author jsonb NOT NULL,
    emoji text,
    at bigint NOT NULL,
    PRIMARY KEY (workspace_id, message_id, by_key),
    FOREIGN KEY (workspace_id, message_id) REFERENCES messages (workspace_id, id)
);
