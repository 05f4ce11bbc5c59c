"""PostgreSQL: sessions, locks, connections."""
