//! What must survive a restart: SQLite by default, the same schema for PostgreSQL.
