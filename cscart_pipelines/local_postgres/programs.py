"""Where programs of the system are found, also with the bare PATH of cron or `su`.

Those of the project's own environment lie beside its Python and are not looked for here.
"""

from __future__ import annotations

import os
import shutil

USUAL_FOLDERS = (
    "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin",
    "/opt/homebrew/bin",
)  # fmt: skip


def find_program(name: str) -> str | None:
    """The program's path: from PATH, else from the folders where systems keep their programs."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(USUAL_FOLDERS))
