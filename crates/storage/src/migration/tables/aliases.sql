-- What customers see instead of an agent's name, where the workspace wants that.
ALTER TABLE agents ADD COLUMN alias text;
