-- Files: what agents uploaded, and what customers sent. The bytes are in the blob store, under workspace and SHA-256.

-- state: stored | remote (the platform has it, we fetch it) | failed. message_id: what a customer's file came with; no foreign
-- key, since the file is known before its message is. source: how the channel finds it; source_key: the platform's id of it.
-- due_at: when it is to be fetched next, by the database's clock; while somebody fetches it, when that one's time is over.
CREATE TABLE attachments (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    state text NOT NULL,
    sha256 bytea,
    size bigint,
    mime text,
    file_name text,
    agent_id uuid,
    message_id uuid,
    account_id uuid,
    source jsonb,
    source_key text,
    attempts bigint NOT NULL,
    due_at bigint,
    reason text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, message_id, source_key),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES channel_accounts (workspace_id, id)
);
CREATE INDEX attachments_to_fetch ON attachments (workspace_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX attachments_by_bytes ON attachments (workspace_id, sha256) WHERE sha256 IS NOT NULL;
