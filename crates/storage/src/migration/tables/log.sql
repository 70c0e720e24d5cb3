-- What came in, what could not be used, what happened.

-- state: new | applied | quarantined. crashes: how often the call was in hand after a restart. in_hand_until: by the database's clock.
-- No foreign keys: this is the fast path, and a call outlives its connection.
CREATE TABLE journal (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    account_id uuid,
    source text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    body_hash bytea NOT NULL,
    received_at bigint NOT NULL,
    state text NOT NULL,
    crashes bigint NOT NULL,
    in_hand_until bigint,
    applied_at bigint,
    summary jsonb,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX journal_unapplied ON journal (workspace_id, id) WHERE state = 'new';
CREATE INDEX journal_by_age ON journal (workspace_id, received_at);

CREATE TABLE dedupe_keys (
    workspace_id uuid NOT NULL,
    account_id uuid NOT NULL,
    event_key text NOT NULL,
    seen_at bigint NOT NULL,
    kept_until bigint,
    PRIMARY KEY (workspace_id, account_id, event_key)
);
CREATE INDEX dedupe_keys_by_age ON dedupe_keys (workspace_id, kept_until) WHERE kept_until IS NOT NULL;

-- Changes of messages that are not here yet. reference: the platform's id of the message.
CREATE TABLE changes_parked (
    workspace_id uuid NOT NULL,
    account_id uuid NOT NULL,
    reference text NOT NULL,
    event_key text NOT NULL,
    change jsonb NOT NULL,
    at bigint NOT NULL,
    received_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, account_id, reference, event_key)
);
CREATE INDEX changes_parked_by_age ON changes_parked (workspace_id, received_at);

CREATE TABLE quarantine (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    journal_id uuid NOT NULL,
    account_id uuid,
    item jsonb,
    reason text NOT NULL,
    detail text NOT NULL,
    state text NOT NULL,
    at bigint NOT NULL,
    settled_at bigint,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX quarantine_open ON quarantine (workspace_id, id) WHERE state = 'open';

-- seq is null until the numberer has seen the committed row.
CREATE TABLE events (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    seq bigint,
    kind text NOT NULL,
    conversation_id uuid,
    contact_id uuid,
    data jsonb NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, seq)
);
CREATE INDEX events_unnumbered ON events (workspace_id, id) WHERE seq IS NULL;
CREATE INDEX events_by_age ON events (workspace_id, at);

-- Who holds this row's lock numbers the workspace's events.
CREATE TABLE event_numberers (
    workspace_id uuid NOT NULL PRIMARY KEY,
    last_seq bigint NOT NULL
);
