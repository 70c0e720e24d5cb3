-- A copy for a reader whom the customer does not see: later messages of the conversation do not wait for it.
ALTER TABLE outbox ADD COLUMN aside boolean NOT NULL DEFAULT false;
