-- Messages that leave at a time of their own.

-- The message and its parts stand in their tables in state `scheduled`; they get outbox rows when they leave. draft: what was asked
-- for, since content and parts are made anew at that moment. send_at: when it shall leave; due_at: when it is looked at next, the
-- same or a little later after a fault.
CREATE TABLE scheduled_messages (
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL,
    send_at bigint NOT NULL,
    due_at bigint NOT NULL,
    draft jsonb NOT NULL,
    version bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, message_id),
    FOREIGN KEY (workspace_id, message_id) REFERENCES messages (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX scheduled_messages_by_time ON scheduled_messages (workspace_id, send_at, message_id);
CREATE INDEX scheduled_messages_due ON scheduled_messages (workspace_id, due_at, message_id);
