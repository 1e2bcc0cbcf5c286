"""Every table the project owns: names, columns, keys. The tables of `analytics` are dbt's."""

from cscart_pipelines.warehouse.tables import core, fulfilment, onsite
from cscart_pipelines.warehouse.tables.core import SCHEMAS, metadata

__all__ = ["SCHEMAS", "core", "fulfilment", "metadata", "onsite"]
