"""Every table the project owns: names, columns, keys. Not here: `analytics`, which dbt owns."""

from cscart_pipelines.warehouse.tables import fulfilment, onsite, raw, registry
from cscart_pipelines.warehouse.tables.base import SCHEMAS, metadata

__all__ = ["SCHEMAS", "fulfilment", "metadata", "onsite", "raw", "registry"]
