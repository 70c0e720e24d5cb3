-- A bot's own endpoint: it hears only of what is for that bot (R-303, R-513).
ALTER TABLE webhook_endpoints ADD COLUMN agent_id uuid;
