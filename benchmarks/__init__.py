"""The project's own benchmarks: `make bench`. Figures for people, no test depends on a clock.

One module per benchmark (`sync`, `load`, `parse`) with `run(options) -> Report`; `catalogue` names
them. Shared: `shop` (a shop of any size, a process of its own), `temporary_warehouse` (a temporary
home with its embedded PostgreSQL), `measure` (CPU, memory), `report` (tables and aims). What is
measured imports nothing from here.
"""
