-- Parts and what is on its way out: outbox, attempts, quota ledger, receipts that came too early.

-- What one request carries of a message. sent_at: when the accepted attempt began, for receipts that count "up to" an instant by
-- the platform's clock. provider_id is not unique: the parts of one mail share their Message-ID.
CREATE TABLE parts (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    message_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    account_id uuid NOT NULL,
    position bigint NOT NULL,
    content jsonb NOT NULL,
    cost bigint NOT NULL,
    state text NOT NULL,
    reason jsonb,
    provider_id text,
    attempts bigint NOT NULL,
    sent_at bigint,
    delivered_at bigint,
    read_at bigint,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, message_id, position),
    FOREIGN KEY (workspace_id, message_id) REFERENCES messages (workspace_id, id)
);
CREATE INDEX parts_by_provider_id ON parts (workspace_id, account_id, provider_id) WHERE provider_id IS NOT NULL;
CREATE INDEX parts_unread ON parts (workspace_id, conversation_id, sent_at) WHERE state IN ('sent', 'delivered');

-- One row per part on its way, with the part's id; done rows leave at once. state: queued | claimed | sending | unknown.
-- seq: the order of acceptance within the conversation. due_at: not before; ready_at: the same, or later where an earlier part
-- of the conversation was in the way; claims go by it. lease_until is the database's time, all others are the service's.
-- receipts: one came that may be this part's. holds_until, ask_at: how long an unknown one holds up its conversation, and from
-- when a person is asked. asked_by: who wanted the next attempt.
CREATE TABLE outbox (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    message_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    identity_id uuid NOT NULL,
    account_id uuid NOT NULL,
    seq bigint NOT NULL,
    state text NOT NULL,
    priority bigint NOT NULL,
    due_at bigint NOT NULL,
    ready_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    attempt bigint NOT NULL,
    crashes bigint NOT NULL,
    asked_by jsonb,
    owner uuid,
    lease_until bigint,
    receipts boolean NOT NULL,
    holds_until bigint,
    ask_at bigint,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, id) REFERENCES parts (workspace_id, id)
);
CREATE INDEX outbox_ready ON outbox (workspace_id, priority, ready_at, id) WHERE state = 'queued';
CREATE INDEX outbox_leased ON outbox (workspace_id, lease_until) WHERE state IN ('claimed', 'sending');
CREATE INDEX outbox_by_conversation ON outbox (workspace_id, conversation_id, seq, id);
CREATE INDEX outbox_in_flight ON outbox (workspace_id, account_id) WHERE state IN ('sending', 'unknown');
CREATE INDEX outbox_unknown ON outbox (workspace_id, ask_at) WHERE state = 'unknown';

-- Which workspaces have queued rows, and from when; a hint that may be early, never late.
CREATE TABLE workspaces_due (
    workspace_id uuid NOT NULL PRIMARY KEY,
    due_at bigint NOT NULL
);
CREATE INDEX workspaces_due_by_time ON workspaces_due (due_at);

-- One row a try, written before the first byte may leave. What was learnt later stands in attempt_evidence.
CREATE TABLE attempts (
    workspace_id uuid NOT NULL,
    part_id uuid NOT NULL,
    number bigint NOT NULL,
    owner uuid NOT NULL,
    asked_by jsonb,
    started_at bigint NOT NULL,
    ended_at bigint,
    duration_ms bigint,
    phase text,
    status bigint,
    verdict text,
    detail jsonb,
    billing text,
    PRIMARY KEY (workspace_id, part_id, number),
    FOREIGN KEY (workspace_id, part_id) REFERENCES parts (workspace_id, id)
);
CREATE INDEX attempts_by_age ON attempts (workspace_id, started_at);

-- What was learnt or decided about a part besides its attempts: late answers, receipts against the odds, people's choices.
CREATE TABLE attempt_evidence (
    workspace_id uuid NOT NULL,
    part_id uuid NOT NULL,
    number bigint NOT NULL,
    attempt bigint,
    kind text NOT NULL,
    data jsonb NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (workspace_id, part_id, number),
    FOREIGN KEY (workspace_id, part_id) REFERENCES parts (workspace_id, id)
);
CREATE INDEX attempt_evidence_by_age ON attempt_evidence (workspace_id, at);

-- used + held <= cap, always. period: a month, a day, a reference, `opening` or `rolling`; for the last two, what is used is
-- counted by the times in quota_reservations, or the people in quota_recipients. used_up_at: when the platform said that it is
-- used up, whatever we counted.
CREATE TABLE quotas (
    workspace_id uuid NOT NULL,
    scope text NOT NULL,
    scope_id text NOT NULL,
    name text NOT NULL,
    period text NOT NULL,
    cap bigint,
    used bigint NOT NULL,
    held bigint NOT NULL,
    used_up_at bigint,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, scope, scope_id, name, period)
);
CREATE INDEX quotas_by_age ON quotas (workspace_id, updated_at);

-- Whom a quota of distinct recipients counts: who has messages held for them, and who got one, when last.
CREATE TABLE quota_recipients (
    workspace_id uuid NOT NULL,
    scope text NOT NULL,
    scope_id text NOT NULL,
    name text NOT NULL,
    period text NOT NULL,
    identity_id uuid NOT NULL,
    held bigint NOT NULL,
    last_at bigint,
    PRIMARY KEY (workspace_id, scope, scope_id, name, period, identity_id)
);
CREATE INDEX quota_recipients_by_time ON quota_recipients (workspace_id, scope, scope_id, name, period, last_at)
    WHERE held = 0;

-- What a part holds, under the number of attempts it had when it took it; and, as long as a count may need its time, what it
-- used. counting: calendar | timed | held | distinct. since: the opening, where one starts the count.
CREATE TABLE quota_reservations (
    workspace_id uuid NOT NULL,
    part_id uuid NOT NULL,
    attempt bigint NOT NULL,
    scope text NOT NULL,
    scope_id text NOT NULL,
    name text NOT NULL,
    period text NOT NULL,
    since bigint,
    counting text NOT NULL,
    identity_id uuid NOT NULL,
    cost bigint NOT NULL,
    state text NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (workspace_id, part_id, attempt, scope, scope_id, name),
    FOREIGN KEY (workspace_id, part_id) REFERENCES parts (workspace_id, id)
);
CREATE INDEX quota_reservations_used ON quota_reservations (workspace_id, scope, scope_id, name, at) WHERE state = 'used';
CREATE INDEX quota_reservations_by_age ON quota_reservations (workspace_id, at) WHERE state = 'used';

-- Refusals that teach a limit (R-515): at which count, with which person.
CREATE TABLE quota_evidence (
    workspace_id uuid NOT NULL,
    account_id uuid NOT NULL,
    name text NOT NULL,
    refused_at_count bigint NOT NULL,
    identity_id uuid NOT NULL,
    at bigint NOT NULL,
    PRIMARY KEY (workspace_id, account_id, name, refused_at_count, identity_id)
);

-- reference: the platform's id, or `up_to:` and the person.
CREATE TABLE receipts_parked (
    workspace_id uuid NOT NULL,
    account_id uuid NOT NULL,
    reference text NOT NULL,
    state text NOT NULL,
    data jsonb,
    at bigint NOT NULL,
    received_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, account_id, reference, state)
);
CREATE INDEX receipts_parked_by_age ON receipts_parked (workspace_id, received_at);
