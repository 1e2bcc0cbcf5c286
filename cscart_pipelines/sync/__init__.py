"""Inward: from the shop to the raw tables. What to read, since when, how far along.

Not here: HTTP (that is `cscart`), SQL of the tables (`warehouse`), Dagster (`defs`).
"""
