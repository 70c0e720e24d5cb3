-- Messages that were not read where they were sent.

-- seen_at: when the other side was last there.
ALTER TABLE mailboxes ADD COLUMN seen_at bigint;
-- Whether anything still opens a mailbox.
CREATE INDEX mailbox_keys_by_name ON mailbox_keys (workspace_id, connection_id, name);

-- What became of a message that nobody came to read, once. letter_id: the message that brought it by another way; null where
-- it was left where it is.
CREATE TABLE fallbacks (
    workspace_id uuid NOT NULL,
    message_id uuid NOT NULL,
    letter_id uuid,
    at bigint NOT NULL,
    PRIMARY KEY (workspace_id, message_id),
    FOREIGN KEY (workspace_id, message_id) REFERENCES messages (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX fallbacks_by_letter ON fallbacks (workspace_id, letter_id) WHERE letter_id IS NOT NULL;
