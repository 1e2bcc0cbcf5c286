"""Where Dagster's SQLite storages find their migrations: by path, not by the name of a package.

By name, Alembic registers an exit handler at each look, and Dagster opens its storages for every
tick: the code server would grow by some 200 MB a day. Imported with the code location. To be
dropped when Alembic looks once a process.
"""

from pathlib import Path

from dagster._core.storage import sql

sql.ALEMBIC_SCRIPTS_LOCATION = str(Path(sql.__file__).with_name("alembic")).replace("%", "%%")
