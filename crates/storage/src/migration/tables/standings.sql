-- How broadcasts and their recipients stand, so that nobody has to count it anew.

-- held_because: why it is held up by no person's hand. held_until: then it goes on by itself; if that is missing, a person has to
-- look.
ALTER TABLE broadcasts ADD COLUMN held_because text;
ALTER TABLE broadcasts ADD COLUMN held_until bigint;

-- state: waiting | canceled | not_sent, or the state of the message, written with it. reason_code: the reason in a word.
ALTER TABLE broadcast_recipients ADD COLUMN reason_code text;
UPDATE broadcast_recipients SET state = m.state, reason_code = coalesce(m.reason ->> 'because', m.reason ->> 'reason',
    m.reason ->> 'code') FROM messages AS m WHERE m.workspace_id = broadcast_recipients.workspace_id
    AND m.id = broadcast_recipients.message_id AND m.state IS NOT NULL;
UPDATE broadcast_recipients SET reason_code = coalesce(reason ->> 'because', reason ->> 'reason', reason ->> 'code')
    WHERE reason IS NOT NULL;
UPDATE broadcast_recipients SET state = 'canceled' WHERE state = 'waiting' AND EXISTS (SELECT 1 FROM broadcasts AS b
    WHERE b.workspace_id = broadcast_recipients.workspace_id AND b.id = broadcast_recipients.broadcast_id
    AND b.state = 'canceled' AND b.ended_at IS NOT NULL);
CREATE INDEX broadcast_recipients_by_state ON broadcast_recipients (workspace_id, broadcast_id, state, contact_id, reason_code);
CREATE INDEX broadcast_recipients_by_message ON broadcast_recipients (workspace_id, message_id)
    WHERE message_id IS NOT NULL;
