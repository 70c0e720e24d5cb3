-- Who waits longest and whose window closes soonest: in one tab, and of one agent, whose work it is. In the order of all, the few of
-- one tab or one agent may stand anywhere.
CREATE INDEX lists_by_tab_waiting ON conversations (workspace_id, tab, waiting_since, id, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until) WHERE waiting_since IS NOT NULL;
CREATE INDEX lists_by_agent_waiting ON conversations (workspace_id, agent_id, tab, waiting_since, id)
    WHERE agent_id IS NOT NULL AND waiting_since IS NOT NULL;

-- What still closes is what `lists_by_open` holds: a twentieth of what ever closed.
DROP INDEX lists_by_closing;
CREATE INDEX lists_by_closing ON conversations (workspace_id, closing_at, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, active_at, waiting_since)
    WHERE window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000;
CREATE INDEX lists_by_tab_closing ON conversations (workspace_id, tab, closing_at, id, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until)
    WHERE window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000;
CREATE INDEX lists_by_agent_closing ON conversations (workspace_id, agent_id, tab, closing_at, id)
    WHERE agent_id IS NOT NULL
    AND (window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000);

-- Who waits while the window is open: the same rows in the order of waiting.
CREATE INDEX lists_by_open_waiting ON conversations (workspace_id, waiting_since, id, tab, account_id, agent_id, team_id, contact_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at)
    WHERE waiting_since IS NOT NULL
    AND (window_ends_at IS NOT NULL OR window_closes_at >= 9214646400000 OR free_form_until >= 9214646400000);
