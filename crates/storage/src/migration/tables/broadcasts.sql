-- One text to many.

-- content: words or a template, with places for fields of the contact. audience: whom it is for, as it was asked. per_minute: how
-- many messages are queued a minute at most. state: draft | scheduled | running | paused | done | canceled. audience_after_at and
-- audience_after_id: how far the audience was written down; collected: to its end.
-- ended_at: when it was done, or all that was queued of a canceled one was withdrawn.
CREATE TABLE broadcasts (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    account_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    content jsonb NOT NULL,
    audience jsonb NOT NULL,
    promotional boolean NOT NULL,
    per_minute bigint NOT NULL,
    state text NOT NULL,
    send_at bigint,
    audience_after_at bigint,
    audience_after_id uuid,
    collected boolean NOT NULL,
    canceled_by jsonb,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    started_at bigint,
    ended_at bigint,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES channel_accounts (workspace_id, id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id)
);
CREATE INDEX broadcasts_by_time ON broadcasts (workspace_id, created_at, id);
CREATE INDEX broadcasts_at_work ON broadcasts (workspace_id, id) 
    WHERE state IN ('scheduled', 'running', 'canceled') AND ended_at IS NULL;

-- Each contact once. state: waiting | queued | not_sent; once queued, the message says how it fares. due_at: not before,
-- as in quiet hours.
CREATE TABLE broadcast_recipients (
    workspace_id uuid NOT NULL,
    broadcast_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    state text NOT NULL,
    reason jsonb,
    message_id uuid,
    due_at bigint NOT NULL,
    queued_at bigint,
    PRIMARY KEY (workspace_id, broadcast_id, contact_id),
    FOREIGN KEY (workspace_id, broadcast_id) REFERENCES broadcasts (workspace_id, id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contacts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX broadcast_recipients_due ON broadcast_recipients (workspace_id, broadcast_id, due_at, contact_id)
    WHERE state = 'waiting';
CREATE INDEX broadcast_recipients_queued ON broadcast_recipients (workspace_id, queued_at)
    WHERE queued_at IS NOT NULL;
CREATE INDEX broadcast_recipients_by_contact ON broadcast_recipients (workspace_id, contact_id);
