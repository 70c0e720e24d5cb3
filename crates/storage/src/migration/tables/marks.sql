-- What tells at a glance which terms a contact can't have; -1 has every bit, and is right for whoever was there before.
ALTER TABLE contacts ADD COLUMN marks bigint NOT NULL DEFAULT -1;
ALTER TABLE conversations ADD COLUMN marks bigint NOT NULL DEFAULT -1;

DROP INDEX contacts_by_time;
CREATE INDEX contacts_by_time ON contacts (workspace_id, created_at, id, marks);

-- The same table with marks, and its keys in the order in which each is read most: by contact, and by term.
CREATE TABLE contact_terms_marked (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    term bytea NOT NULL,
    marks bigint NOT NULL DEFAULT -1,
    PRIMARY KEY (workspace_id, contact_id, term),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contacts (workspace_id, id) ON DELETE CASCADE
);
INSERT INTO contact_terms_marked (workspace_id, contact_id, term) SELECT workspace_id, contact_id, term FROM contact_terms;
DROP TABLE contact_terms;
ALTER TABLE contact_terms_marked RENAME TO contact_terms;
CREATE INDEX contact_terms_by_term ON contact_terms (workspace_id, term, contact_id, marks);

-- Every list that asks for contacts asks their marks first, in its index.
DROP INDEX lists_by_time;
CREATE INDEX lists_by_time ON conversations (workspace_id, active_at, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks);
DROP INDEX lists_by_tab;
CREATE INDEX lists_by_tab ON conversations (workspace_id, tab, active_at, id, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks);
DROP INDEX lists_by_account;
CREATE INDEX lists_by_account ON conversations (workspace_id, account_id, tab, active_at, id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks);
DROP INDEX lists_by_contact;
CREATE INDEX lists_by_contact ON conversations (workspace_id, contact_id, active_at, id, tab, account_id, agent_id, team_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks);
DROP INDEX lists_by_waiting;
CREATE INDEX lists_by_waiting ON conversations (workspace_id, waiting_since, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks) WHERE waiting_since IS NOT NULL;
DROP INDEX lists_by_tab_waiting;
CREATE INDEX lists_by_tab_waiting ON conversations (workspace_id, tab, waiting_since, id, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, marks) WHERE waiting_since IS NOT NULL;
DROP INDEX lists_by_closing;
CREATE INDEX lists_by_closing ON conversations (workspace_id, closing_at, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, active_at, waiting_since, marks)
    WHERE window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000;
DROP INDEX lists_by_tab_closing;
CREATE INDEX lists_by_tab_closing ON conversations (workspace_id, tab, closing_at, id, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, marks)
    WHERE window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000;
DROP INDEX lists_by_open;
CREATE INDEX lists_by_open ON conversations (workspace_id, active_at, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks)
    WHERE window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000;
DROP INDEX lists_by_open_waiting;
CREATE INDEX lists_by_open_waiting ON conversations (workspace_id, waiting_since, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks)
    WHERE waiting_since IS NOT NULL
    AND (window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000);

-- Where the last word came more than a day after the customer's: few, and the only ones whose age by the one and by the other differ much.
CREATE INDEX lists_by_silence ON conversations (workspace_id, active_at, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks)
    WHERE active_at - last_inbound_at >= 86400000;
-- Whoever wrote again more than a day after they began to wait: few as well.
CREATE INDEX lists_by_asking ON conversations (workspace_id, waiting_since, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, marks)
    WHERE last_inbound_at - waiting_since >= 86400000;
