-- Work on many things that outlives its request, and what is remembered of people who were erased.

-- kind: bulk | undo | import | erase. state: queued | running | done | failed | canceled. request: what is to be done, as its kind
-- writes it. cursor: how far it is. total: null until everything is found. stop: somebody wants no more of it.
CREATE TABLE jobs (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    actor_id uuid NOT NULL,
    request jsonb NOT NULL,
    cursor jsonb NOT NULL,
    total bigint,
    done bigint NOT NULL,
    changed bigint NOT NULL,
    failed bigint NOT NULL,
    stop boolean NOT NULL,
    reason text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    finished_at bigint,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX jobs_unfinished ON jobs (workspace_id, id) WHERE finished_at IS NULL;
CREATE INDEX jobs_by_end ON jobs (workspace_id, finished_at) WHERE finished_at IS NOT NULL;

-- state: pending | created | changed | unchanged | failed. item_id: what it is about, once a job. input: what is to be done with
-- it, gone once it is done. outcome: what was done, and how it was before.
CREATE TABLE job_items (
    workspace_id uuid NOT NULL,
    job_id uuid NOT NULL,
    position bigint NOT NULL,
    item_id uuid,
    state text NOT NULL,
    code text,
    input jsonb,
    outcome jsonb,
    PRIMARY KEY (workspace_id, job_id, position),
    UNIQUE (workspace_id, job_id, item_id),
    FOREIGN KEY (workspace_id, job_id) REFERENCES jobs (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX job_items_waiting ON job_items (workspace_id, job_id, position) WHERE state = 'pending';

CREATE INDEX contacts_by_external_id ON contacts (workspace_id, (profile ->> 'external_id'))
    WHERE profile ->> 'external_id' IS NOT NULL;

-- Contacts that were erased: their rows stay as shells for the counters that hang on them.
CREATE TABLE erasures (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    job_id uuid NOT NULL,
    asked_at bigint NOT NULL,
    done_at bigint,
    PRIMARY KEY (workspace_id, contact_id)
);

-- digest: an address of somebody who was erased, under a key of the workspace: it can be recognised and not read.
CREATE TABLE erased_addresses (
    workspace_id uuid NOT NULL,
    digest bytea NOT NULL,
    erased_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, digest)
);

-- The key of those digests, sealed.
CREATE TABLE erasure_keys (
    workspace_id uuid NOT NULL PRIMARY KEY,
    sealed bytea NOT NULL
);
