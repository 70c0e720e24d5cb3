-- look_at: when the platform is asked next what became of a part whose outcome nobody knows; null: not any more.
ALTER TABLE outbox ADD COLUMN look_at bigint;
UPDATE outbox SET look_at = ask_at WHERE state = 'unknown';
CREATE INDEX outbox_look_ups ON outbox (workspace_id, look_at) WHERE state = 'unknown' AND look_at IS NOT NULL;
