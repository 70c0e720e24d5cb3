-- Bots: on which accounts each serves, and what.

-- enabled: whether it serves there. condition: which messages it is told of.
CREATE TABLE bot_bindings (
    workspace_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    account_id uuid NOT NULL,
    enabled boolean NOT NULL,
    condition jsonb NOT NULL,
    PRIMARY KEY (workspace_id, agent_id, account_id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, account_id) REFERENCES channel_accounts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX bot_bindings_by_account ON bot_bindings (workspace_id, account_id);
