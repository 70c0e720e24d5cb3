-- Names of several words that were there before are looked up one by one, until they are written anew.
INSERT INTO contact_terms (workspace_id, contact_id, term, marks)
    SELECT workspace_id, contact_id, CAST('c*' AS bytea), max(marks) FROM contact_terms
    WHERE substr(term, 1, 1) = CAST('n' AS bytea) GROUP BY workspace_id, contact_id HAVING count(*) > 1;
