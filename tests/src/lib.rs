//! End-to-end tests over real HTTP, on SQLite and PostgreSQL
