"""One file a step, numbered in order; a step that has been released is never edited.

Until the first release there is the baseline alone, which changes with `warehouse/tables`. A later
step finds its change made on a new database (write `IF NOT EXISTS`), since the baseline makes the
tables as they are described now.
"""
