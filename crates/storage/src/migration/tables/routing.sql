-- Automatic assignment: what follows the events, who is away, to whom contacts belong, and the rules.

-- How far something that acts on events by itself has come.
CREATE TABLE followers (
    workspace_id uuid NOT NULL,
    name text NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (workspace_id, name),
    FOREIGN KEY (workspace_id) REFERENCES workspaces (id)
);

-- turn: the number of the last turn in which a rule gave this agent something; turns are counted over the workspace.
CREATE TABLE agent_duty (
    workspace_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    away boolean NOT NULL,
    turn bigint,
    PRIMARY KEY (workspace_id, agent_id),
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id) ON DELETE CASCADE
);

CREATE TABLE dedicated_agents (
    workspace_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    agent_id uuid NOT NULL,
    PRIMARY KEY (workspace_id, contact_id),
    FOREIGN KEY (workspace_id, contact_id) REFERENCES contacts (workspace_id, id) ON DELETE CASCADE,
    FOREIGN KEY (workspace_id, agent_id) REFERENCES agents (workspace_id, id) ON DELETE CASCADE
);
CREATE INDEX dedicated_agents_by_agent ON dedicated_agents (workspace_id, agent_id);

-- position: rules are asked in this order.
CREATE TABLE assignment_rules (
    workspace_id uuid NOT NULL REFERENCES workspaces (id),
    id uuid NOT NULL,
    position bigint NOT NULL,
    name text NOT NULL,
    enabled boolean NOT NULL,
    condition jsonb NOT NULL,
    target jsonb NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX assignment_rules_by_position ON assignment_rules (workspace_id, position, id);
