"""Every table the project owns: names, columns, keys. The tables of `analytics` are dbt's."""
