-- Proofs that are good for one call each, with what that call said: whoever saw one can't put it under anything else.
CREATE TABLE call_proofs (
    workspace_id uuid NOT NULL,
    connection_id uuid NOT NULL,
    proof text NOT NULL,
    said bytea NOT NULL,
    kept_until bigint NOT NULL,
    PRIMARY KEY (workspace_id, connection_id, proof)
);
CREATE INDEX call_proofs_by_age ON call_proofs (workspace_id, kept_until);
