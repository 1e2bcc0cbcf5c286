"""Alembic migrations; see `migrate` for when they run."""
