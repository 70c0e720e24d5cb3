-- Of the members of a set a list is made by looking each of them up here: those who wait longest as well, without a look at the row.
DROP INDEX lists_by_contact;
CREATE INDEX lists_by_contact ON conversations (workspace_id, contact_id, active_at, id, tab, account_id, agent_id, team_id,
    last_inbound_at, window_closes_at, free_form_until, closing_at, waiting_since, marks);

-- Names of many words, and all from before there were couples, were in one term together: each of their words has its own.
INSERT INTO contact_terms (workspace_id, contact_id, term, marks)
    SELECT n.workspace_id, n.contact_id, CAST(CAST('c*' AS bytea) || substr(n.term, 2) AS bytea), n.marks
    FROM contact_terms n JOIN contact_terms m ON m.workspace_id = n.workspace_id AND m.contact_id = n.contact_id
    WHERE substr(n.term, 1, 1) = CAST('n' AS bytea) AND m.term = CAST('c*' AS bytea);
DELETE FROM contact_terms WHERE term = CAST('c*' AS bytea);
