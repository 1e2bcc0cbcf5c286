"""Why the warehouse cannot be used. Not here: errors of statements (`driver`)."""


class WarehouseUnavailableError(RuntimeError):
    """The database cannot be reached or used; the message says why, without a password."""


class SchemaOutdatedError(WarehouseUnavailableError):
    """The database has no tables yet, or those of an older release of this project."""


class SchemaTooNewError(WarehouseUnavailableError):
    """The database was migrated by a newer release of this project."""
