"""The dbt project on disk: where it lies, which dbt runs it, and the folders that dbt writes.

Parsing takes dbt seconds. The manifest is parsed anew only when a file of the project is newer than
it, since every process of Dagster loads it; and what dbt has parsed for a warehouse is kept for its
next build. Not here: builds as Dagster runs them (`defs.transformation`).
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

PROJECT_DIR = Path(__file__).parents[1] / "dbt_project"
TARGET_DIR = PROJECT_DIR / "target"
BUILDS_DIR = TARGET_DIR / "builds"
"""Where each build has a folder of its own, named by its run."""
PARTS = ("models", "macros", "tests", "seeds", "snapshots", "analyses")

WITHOUT_ARTIFACTS = "--no-write-json"
"""dbt would write its manifest twice, which takes a second; Dagster reads the project's own."""
DAILY = "daily"
"""The tag of tests of data that are too expensive for every build."""
BUILT = (
    "--exclude-resource-type", "unit_test", "--exclude-resource-type", "exposure",
    "--exclude", f"tag:{DAILY}",
)  # fmt: skip
"""What a build leaves out."""

PARSED = "partial_parse.msgpack"
"""What dbt has parsed; it reads again only the files that have changed since."""
KEPT_PARSED = 10
"""What dbt has parsed is kept for that many warehouses: it is of use for the same one only."""
KEPT_BUILDS = 5
"""What dbt compiled and logged is kept for that many builds, and for all that may be running."""
LONGEST_BUILD = 3 * 3600
"""Seconds after which Dagster ends a build."""


def dbt_executable() -> str:
    """Returns the dbt of the environment of this process, also when that is not on the PATH."""
    beside = Path(sys.executable).with_name("dbt")
    return str(beside) if beside.exists() else shutil.which("dbt") or "dbt"


@functools.cache
def models_version() -> str:
    """Returns a digest of the project: after a change of it every row is computed anew."""
    digest = hashlib.sha256()
    for path in sorted(path for path in _sources() if path.is_file()):
        digest.update(str(path.relative_to(PROJECT_DIR)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def parse_if_stale(manifest: Path) -> None:
    """Writes the manifest if it is missing or older than a file of the project.

    It is parsed once, also when several processes find it stale at the same time.

    Raises:
        RuntimeError: dbt cannot parse the project.
    """
    if not _is_stale(manifest):
        return
    manifest.parent.mkdir(parents=True, exist_ok=True)
    with (manifest.parent / ".parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_stale(manifest):
            return
        done = subprocess.run(
            [dbt_executable(), "--quiet", "parse", "--project-dir", str(PROJECT_DIR),
             "--profiles-dir", str(PROJECT_DIR), "--target-path", str(manifest.parent),
             "--log-path", str(manifest.parent / "logs")],
            capture_output=True, text=True, check=False, cwd=PROJECT_DIR,
        )  # fmt: skip
        if done.returncode or not manifest.exists():
            raise RuntimeError(f"dbt parse failed:\n{done.stdout}{done.stderr}")
        os.utime(manifest)  # dbt leaves an unchanged manifest alone


@contextlib.contextmanager
def build_folder(
    warehouse: Mapping[str, str], build: str, builds: Path = BUILDS_DIR
) -> Iterator[Path]:
    """Yields the folder in which dbt compiles a build, with what it has parsed before.

    Folders of old builds are deleted: builds are hourly.

    Args:
        warehouse: `Warehouse.dbt_environment` of the warehouse that is built.
        build: The name of the folder.
        builds: Where the folders are.
    """
    builds.mkdir(parents=True, exist_ok=True)
    begun = {folder: folder.stat().st_mtime for folder in builds.iterdir() if folder.is_dir()}
    for folder in sorted(begun, key=begun.__getitem__)[: -KEPT_BUILDS + 1]:
        if begun[folder] < time.time() - LONGEST_BUILD:
            shutil.rmtree(folder, ignore_errors=True)
    target = builds / build
    target.mkdir(exist_ok=True)
    parsed = parsed_for(warehouse, builds)
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(parsed, target / PARSED)
        os.utime(parsed)  # the one that was used last
    _delete_parsed(builds)
    try:
        yield target
    finally:  # also of a build that fails: it is tried again, in halves
        with contextlib.suppress(FileNotFoundError):
            (target / PARSED).replace(parsed)


def parsed_for(warehouse: Mapping[str, str], builds: Path) -> Path:
    """Returns the file of what dbt has parsed for a warehouse, whether there is one or not."""
    where = {**warehouse, "CSCART_PIPELINES_DBT_PASSWORD": ""}
    digest = hashlib.sha256("\n".join(sorted(where.values())).encode())
    return builds / f"{digest.hexdigest()[:16]}.msgpack"


def _delete_parsed(builds: Path) -> None:
    """Deletes what was parsed for warehouses that no build has used for long."""
    used: dict[Path, float] = {}
    for file in builds.glob("*.msgpack"):
        with contextlib.suppress(FileNotFoundError):  # another build deletes too
            used[file] = file.stat().st_mtime
    for file in sorted(used, key=used.__getitem__)[:-KEPT_PARSED]:
        file.unlink(missing_ok=True)


def _is_stale(manifest: Path) -> bool:
    if not manifest.exists():
        return True
    newest = max(path.stat().st_mtime for path in _sources() if path.exists())
    return newest > manifest.stat().st_mtime


def _sources() -> list[Path]:
    sources = [PROJECT_DIR / "dbt_project.yml", PROJECT_DIR / "profiles.yml"]
    for part in PARTS:
        # Folders too: a deleted file leaves its trace there.
        sources += [p for p in (PROJECT_DIR / part).rglob("*") if not p.name.startswith(".")]
    return sources
