-- Who changed what, and who was refused: rows enter with their transaction, and are chained once it has committed.

-- seq and hash are null until the row is in the chain. hash: over the row before it and all that stands here, in one form (audit.rs).
-- before, after: JSON as text, since the hash is over these very bytes.
CREATE TABLE audit_log (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    seq bigint,
    at bigint NOT NULL,
    actor_id uuid NOT NULL,
    role text NOT NULL,
    via text NOT NULL,
    token_id uuid,
    action text NOT NULL,
    outcome text NOT NULL,
    object_kind text,
    object_id text,
    before text,
    after text,
    address text,
    request_id uuid,
    hash bytea,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, seq)
);
CREATE INDEX audit_log_unsealed ON audit_log (workspace_id, id) WHERE seq IS NULL;
CREATE INDEX audit_log_by_actor ON audit_log (workspace_id, actor_id, seq);
CREATE INDEX audit_log_by_action ON audit_log (workspace_id, action, seq);
CREATE INDEX audit_log_by_object ON audit_log (workspace_id, object_id, seq);
CREATE INDEX audit_log_by_age ON audit_log (workspace_id, at);

-- The ends of the chain: what was deleted by age ends at base, and the newest row is last.
CREATE TABLE audit_chains (
    workspace_id uuid NOT NULL PRIMARY KEY,
    base_seq bigint NOT NULL,
    base_hash bytea NOT NULL,
    last_seq bigint NOT NULL,
    last_hash bytea NOT NULL
);
