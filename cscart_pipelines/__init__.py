"""CS-Cart pipelines: a CS-Cart shop as lists, segments and metrics in PostgreSQL, and back.

docs/architecture.md says which package does what, and where a rule is. Nothing is imported here, so
that the small helper processes of the project start at once.
"""

__version__ = "0.1.0"
