"""CS-Cart pipelines: a CS-Cart shop as lists, segments and metrics in PostgreSQL, and back.

The rooms are named after what happens in them; README and the page in each package say more.
Nothing is imported here, so that the small helper processes of the project start at once.
"""

__version__ = "0.1.0"
