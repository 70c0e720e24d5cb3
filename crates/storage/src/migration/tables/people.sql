-- Customers, and who they are on each account.

-- profile_at: when each field of the profile was told; the newest wins. profile_until: the newest of those times.
CREATE TABLE contacts (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    display_name text,
    profile jsonb NOT NULL,
    profile_at jsonb NOT NULL,
    profile_until bigint NOT NULL,
    blocked boolean NOT NULL,
    version bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX contacts_by_time ON contacts (workspace_id, created_at, id);
CREATE INDEX contacts_blocked ON contacts (workspace_id, created_at, id) WHERE blocked;

-- What searches compare. The first byte says what the rest is: n a word of a name, e an email address, u a user name, p a phone
-- number from its end. Bytes, so that a prefix is a range whatever the database's locale.
CREATE TABLE contact_terms (
    workspace_id uuid NOT NULL,
    term bytea NOT NULL,
    contact_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, term, contact_id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contacts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_terms_by_contact ON contact_terms (workspace_id, contact_id);

CREATE TABLE contact_labels (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    label text NOT NULL,
    PRIMARY KEY (workspace_id, contact_id, label),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contacts (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX contact_labels_by_label ON contact_labels (workspace_id, label, contact_id);

-- addresses: how the platform names the person, the preferred name first. facts: what the rule engine keeps about the person, as
-- JSON text, since its numbers are wider than a database's; empty for nothing.
CREATE TABLE identities (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    contact_id uuid NOT NULL,
    account_id uuid NOT NULL,
    addresses jsonb NOT NULL,
    facts text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contacts (workspace_id, id),
    FOREIGN KEY (workspace_id, account_id) REFERENCES channel_accounts (workspace_id, id)
);
CREATE INDEX identities_by_contact ON identities (workspace_id, contact_id);

-- The key that makes one person of fifty first messages.
CREATE TABLE identity_addresses (
    workspace_id uuid NOT NULL,
    account_id uuid NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    identity_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, account_id, kind, value),
    FOREIGN KEY (workspace_id, identity_id) REFERENCES identities (workspace_id, id)
);
CREATE INDEX identity_addresses_by_identity ON identity_addresses (workspace_id, identity_id);
CREATE INDEX identity_addresses_by_value ON identity_addresses (workspace_id, value);

-- Ids of contacts, identities and conversations that turned out to be another's: who kept one still finds what it stands for.
CREATE TABLE aliases (
    workspace_id uuid NOT NULL,
    id uuid NOT NULL,
    target_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX aliases_by_target ON aliases (workspace_id, target_id);
