"""The project's own benchmarks: `make bench`. Figures for people, no test depends on a clock.

One module per benchmark with `run(options) -> Report`; `catalogue` names them. `support/` has what
they share, `processes/` the programs that one starts beside what it measures. What is measured
imports nothing from here.
"""
