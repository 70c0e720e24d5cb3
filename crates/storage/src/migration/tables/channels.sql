-- Connected apps, their accounts, and what belongs to those.

-- secrets: a sealed JSON object; secret_hints: which are set, with their last four characters.
CREATE TABLE connections (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    platform text NOT NULL,
    name text NOT NULL,
    settings jsonb NOT NULL,
    secrets bytea,
    secret_hints jsonb NOT NULL,
    removed_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

-- settings: what the platform's crate wants to know of this account, no secrets. A removed account stays for its history.
CREATE TABLE channel_accounts (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    connection_id uuid NOT NULL,
    platform text NOT NULL,
    policy text NOT NULL,
    name text NOT NULL,
    external_key text NOT NULL,
    features jsonb NOT NULL,
    limits jsonb NOT NULL,
    quota_group text,
    country text,
    enabled boolean NOT NULL,
    suspended text,
    settings jsonb NOT NULL DEFAULT '{}',
    templates_synced_at bigint,
    removed_at bigint,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id)
);
CREATE UNIQUE INDEX channel_accounts_by_key ON channel_accounts (workspace_id, connection_id, external_key) WHERE removed_at IS NULL;
CREATE INDEX channel_accounts_by_group ON channel_accounts (workspace_id, quota_group);

CREATE TABLE provider_tokens (
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    name text NOT NULL,
    sealed bytea NOT NULL,
    expires_at bigint,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, name),
    FOREIGN KEY (workspace_id, connection_id) REFERENCES connections (workspace_id, id) ON DELETE CASCADE
);

-- How far an account's mail or messages were fetched.
CREATE TABLE pull_cursors (
    workspace_id uuid NOT NULL,
    account_id uuid NOT NULL,
    cursor text NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, account_id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES channel_accounts (workspace_id, id) ON DELETE CASCADE
);

CREATE TABLE templates (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    provider_id text NOT NULL,
    name text NOT NULL,
    language text NOT NULL,
    category text NOT NULL,
    status text NOT NULL,
    definition jsonb NOT NULL,
    synced_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, account_id, name, language),
    FOREIGN KEY (workspace_id, account_id) REFERENCES channel_accounts (workspace_id, id)
);
