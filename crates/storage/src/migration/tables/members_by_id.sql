-- Of the members of a set a list is made by looking each of them up here, without a look at the row.
CREATE INDEX contacts_by_id ON contacts (workspace_id, id, created_at, marks);
CREATE INDEX lists_by_id ON conversations (workspace_id, id, active_at, waiting_since, closing_at, tab);
