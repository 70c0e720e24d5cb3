-- What is replayed, discarded and looked up of what came in (R-518).

-- replays: how often somebody asked to have the call applied again.
ALTER TABLE journal ADD COLUMN replays bigint NOT NULL DEFAULT 0;
CREATE INDEX journal_quarantined ON journal (workspace_id, received_at, id) WHERE state = 'quarantined';

-- tried_at: when it was replayed in vain last. settled_by, settled_why: who discarded it, and why.
ALTER TABLE quarantine ADD COLUMN connection_id uuid;
ALTER TABLE quarantine ADD COLUMN tried_at bigint;
ALTER TABLE quarantine ADD COLUMN settled_by uuid;
ALTER TABLE quarantine ADD COLUMN settled_why text;
CREATE INDEX quarantine_by_call ON quarantine (workspace_id, journal_id);
CREATE INDEX quarantine_by_age ON quarantine (workspace_id, at);
