-- Mailboxes: what platforms that this service hosts itself leave for their visitors, and the keys that open them.

-- last_seq: the number of the newest event. purged_to: up to which number events may be gone. acked_seq: up to which number the
-- other side has them. leads_to: the mailbox that gets what is appended here.
CREATE TABLE mailboxes (
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    name text NOT NULL,
    last_seq bigint NOT NULL,
    purged_to bigint NOT NULL,
    acked_seq bigint NOT NULL,
    leads_to text,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, name),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id)
);

-- event_key: one event is there once, however often it is appended.
CREATE TABLE mailbox_events (
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    name text NOT NULL,
    seq bigint NOT NULL,
    event_key text NOT NULL,
    data jsonb NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, name, seq),
    UNIQUE (workspace_id, connection_id, name, event_key),
    FOREIGN KEY (workspace_id, connection_id, name) REFERENCES mailboxes (workspace_id, connection_id, name)
);
CREATE INDEX mailbox_events_by_age ON mailbox_events (workspace_id, at);

-- Keys by their SHA-256. The mailbox may be made later.
CREATE TABLE mailbox_keys (
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    hash bytea NOT NULL,
    name text NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, hash),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id)
);
CREATE INDEX mailbox_keys_by_end ON mailbox_keys (workspace_id, until);
