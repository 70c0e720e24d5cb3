-- Workspaces, who works in them, and what belongs to a workspace as a whole.

CREATE TABLE workspaces (
    id uuid NOT NULL PRIMARY KEY,
    name text NOT NULL,
    settings jsonb NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL
);

-- One row that only the right master key opens.
CREATE TABLE vault_check (
    id bigint NOT NULL PRIMARY KEY,
    sealed bytea NOT NULL
);

CREATE TABLE data_keys (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id bigint NOT NULL,
    wrapped bytea NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE agents (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    active boolean NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

CREATE TABLE teams (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    name text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name)
);

CREATE TABLE team_members (
    workspace_id uuid NOT NULL,
    team_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, team_id, agent_id),
    FOREIGN KEY (workspace_id, team_id) REFERENCES teams (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX team_members_by_agent ON team_members (workspace_id, agent_id);

-- A token itself is never stored: its SHA-256 is.
CREATE TABLE tokens (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    agent_id uuid NOT NULL,
    name text NOT NULL,
    hash bytea NOT NULL,
    scopes jsonb NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint,
    last_used_at bigint,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, hash),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id)
);

CREATE TABLE tags (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    name text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, name)
);

-- title_folded: bytes, so that a prefix is a range whatever the database's locale.
CREATE TABLE saved_replies (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    title text NOT NULL,
    title_folded bytea NOT NULL,
    content text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX saved_replies_by_title ON saved_replies (workspace_id, title_folded, id);

-- status and body are null while the first request still runs in another transaction, until running_until at most.
CREATE TABLE idempotency_keys (
    workspace_id uuid NOT NULL,
    actor_id uuid NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status bigint,
    body bytea,
    running_until bigint,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, actor_id, route, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (workspace_id, created_at);

-- Times of the database's clock.
CREATE TABLE leases (
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    owner uuid NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (workspace_id, name)
);
