"""What Dagster loads: everything that `defs/` defines."""

import gc
from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions of the project."""
    loaded = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    # A tick leaves a thousand objects in cycles. Python looks for those once they are a quarter of
    # all objects, so what lives as long as the process is taken out of the count, and it counts.
    gc.collect()
    gc.freeze()
    gc.collect()
    return loaded
