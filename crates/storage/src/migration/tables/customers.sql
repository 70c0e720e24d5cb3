-- What a workspace knows of its customers beyond the defaults, what it may send them, and who turned out to be one.

-- By field of the profile: `manual` where a person wrote it; what is missing was told by a platform.
ALTER TABLE contacts ADD COLUMN profile_by jsonb NOT NULL DEFAULT '{}';

-- name_key: the name in one case and spacing. Fields are never deleted: values refer to them.
CREATE TABLE custom_fields (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    name text NOT NULL,
    name_key bytea NOT NULL,
    kind text NOT NULL,
    options jsonb NOT NULL,
    archived boolean NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name_key)
);

-- sort_key: the value as bytes that sort as it does, whatever its type and the database's locale.
CREATE TABLE contact_fields (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    field_id uuid NOT NULL,
    value text NOT NULL,
    sort_key bytea NOT NULL,
    PRIMARY KEY (workspace_id, contact_id, field_id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contacts (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, field_id) REFERENCES custom_fields (workspace_id, id)
);
CREATE INDEX contact_fields_by_value ON contact_fields (workspace_id, field_id, sort_key, contact_id);

-- The labels that there are; contact_labels says who has them, by their names.
CREATE TABLE labels (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    name text NOT NULL,
    name_key bytea NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, name_key)
);

-- A label that many contacts may have is renamed or taken away in batches: this is what is left to do. becomes: null for nothing.
CREATE TABLE label_moves (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    label text NOT NULL,
    becomes text,
    PRIMARY KEY (workspace_id, label)
);

ALTER TABLE saved_replies ADD COLUMN version bigint NOT NULL DEFAULT 1;

-- Wordings of a saved reply for a language, a platform or both; an empty text stands for any.
CREATE TABLE saved_reply_variants (
    workspace_id uuid NOT NULL,
    reply_id uuid NOT NULL,
    language text NOT NULL,
    platform text NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (workspace_id, reply_id, language, platform),
    FOREIGN KEY (workspace_id, reply_id) REFERENCES saved_replies (workspace_id, id) ON DELETE CASCADE
);

-- record: both contacts as they were, and what the kept one became, so that it can be undone.
CREATE TABLE contact_merges (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    kept_id uuid NOT NULL,
    gone_id uuid NOT NULL,
    record jsonb NOT NULL,
    merged_by jsonb NOT NULL,
    merged_at bigint NOT NULL,
    undone_by jsonb,
    undone_at bigint,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX contact_merges_by_kept ON contact_merges (workspace_id, kept_id, merged_at, id);
CREATE INDEX contact_merges_by_gone ON contact_merges (workspace_id, gone_id, merged_at, id);

-- What a person allowed or forbade us on one channel account. at: when they said so.
CREATE TABLE consents (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    identity_id uuid NOT NULL,
    account_id uuid NOT NULL,
    scope text NOT NULL,
    allowed boolean NOT NULL,
    source text NOT NULL,
    detail text,
    recorded_by jsonb NOT NULL,
    at bigint NOT NULL,
    recorded_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX consents_by_identity ON consents (workspace_id, identity_id, recorded_at, id);
