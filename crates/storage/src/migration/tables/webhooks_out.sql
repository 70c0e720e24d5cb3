-- Webhooks out: who is told what happens, and how that went.

-- kinds: none means all of them; `message.*` means all that begin so. cursor_seq: events up to it are queued. next_at: before it
-- nothing is tried: only the head of a queue is, so an endpoint has one such instant. failures: in a row. old_secret signs beside
-- the present one until its end.
CREATE TABLE webhook_endpoints (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    kinds jsonb NOT NULL,
    enabled boolean NOT NULL,
    disabled_because text,
    secret bytea NOT NULL,
    old_secret bytea,
    old_secret_until bigint,
    cursor_seq bigint NOT NULL,
    next_at bigint NOT NULL,
    failures bigint NOT NULL,
    failing_since bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX webhook_endpoints_enabled ON webhook_endpoints (workspace_id, next_at) WHERE enabled;

-- An event on its way to an endpoint. state: waiting | delivered | failed. tries: since it was last put into the queue.
CREATE TABLE webhook_deliveries (
    workspace_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    tries bigint NOT NULL,
    attempts bigint NOT NULL,
    queued_at bigint NOT NULL,
    settled_at bigint,
    PRIMARY KEY (workspace_id, endpoint_id, seq),
    FOREIGN KEY (workspace_id, endpoint_id) REFERENCES webhook_endpoints (workspace_id, id)
);
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (workspace_id, endpoint_id, seq) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (workspace_id, endpoint_id, event_id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (workspace_id, queued_at);

-- outcome: a stable word. status: what the receiver answered, if it did.
CREATE TABLE webhook_attempts (
    workspace_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    seq bigint NOT NULL,
    number bigint NOT NULL,
    at bigint NOT NULL,
    took_ms bigint NOT NULL,
    outcome text NOT NULL,
    status bigint,
    PRIMARY KEY (workspace_id, endpoint_id, seq, number),
    FOREIGN KEY (workspace_id, endpoint_id, seq) REFERENCES webhook_deliveries (workspace_id, endpoint_id, seq)
);
