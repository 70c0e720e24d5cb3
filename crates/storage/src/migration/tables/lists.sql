-- Lists: an index for each order and each filter that a list may begin with. Each ends with what else lists filter by, so that
-- rows which do not belong are passed by inside the index. Those that they replace go.

CREATE INDEX lists_by_time ON conversations (workspace_id, active_at, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at);
CREATE INDEX lists_by_tab ON conversations (workspace_id, tab, active_at, id, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at);
CREATE INDEX lists_by_account ON conversations (workspace_id, account_id, tab, active_at, id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at);
CREATE INDEX lists_by_contact ON conversations (workspace_id, contact_id, active_at, id, tab, account_id, agent_id, team_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at);
CREATE INDEX lists_by_waiting ON conversations (workspace_id, waiting_since, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at) WHERE waiting_since IS NOT NULL;
CREATE INDEX lists_by_closing ON conversations (workspace_id, closing_at, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until) WHERE closing_at IS NOT NULL;

DROP INDEX conversations_by_time;
DROP INDEX conversations_by_tab;
DROP INDEX conversations_by_account;
DROP INDEX conversations_by_contact;
DROP INDEX conversations_by_waiting;
DROP INDEX conversations_by_closing;

-- Whether a contact has a term, in one step.
CREATE INDEX contact_terms_of_contact ON contact_terms (workspace_id, contact_id, term);
DROP INDEX contact_terms_by_contact;

-- Who is known over an account.
CREATE INDEX identities_by_account ON identities (workspace_id, account_id, id, contact_id);

-- Accounts whose people's windows are to be computed again, and how far that is done.
CREATE TABLE windows_stale (
    workspace_id uuid NOT NULL,
    account_id uuid NOT NULL,
    since bigint NOT NULL,
    after_identity uuid,
    PRIMARY KEY (workspace_id, account_id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES channel_accounts (workspace_id, id)
);
