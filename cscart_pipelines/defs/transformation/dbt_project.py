"""The dbt project as Dagster sees it: where it lies, its manifest, and the names of its assets.

The manifest is parsed anew only when a file of the project is newer than it: parsing takes seconds,
and every process of Dagster loads this. Not here: building the models (`lists`).
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from cscart_pipelines.defs.shared.asset_specs import OWNERS

PROJECT_DIR = Path(__file__).parents[3] / "dbt_project"
PARTS = ("models", "macros", "tests", "seeds", "snapshots", "analyses")


@functools.cache
def dbt_project() -> DbtProject:
    """The project with a manifest that is up to date; looked at once a process."""
    project = DbtProject(project_dir=PROJECT_DIR)
    if _is_stale(project.manifest_path):
        _parse(project.manifest_path)
    return project


def builds_folder() -> Path:
    """Where each build has a folder of its own, named by its run."""
    project = dbt_project()
    return project.project_dir / project.target_path / "builds"


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


def _parse(manifest: Path) -> None:
    """Parses once, also when several processes find the manifest stale at the same time."""
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


LOADED_WITH = {
    "order_lines": "orders", "categories": "products",
    "customer_contacts": "customers", "order_contacts": "orders", "email_addresses": "orders",
}  # fmt: skip
"""Tables that have no asset of their own: the asset whose step fills them."""

LIST_FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
)
"""A list is built once a day at least."""


class Translator(DagsterDbtTranslator):
    """Assets are called after schema and table: `analytics/segments`, `staging/stg_…`."""

    def __init__(self) -> None:
        super().__init__(
            DagsterDbtTranslatorSettings(
                enable_asset_checks=True, enable_duplicate_source_asset_keys=True
            )
        )

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """Returns the asset of a model or source, with the key of its table."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        props = self.get_resource_props(manifest, unique_id)
        if props["resource_type"] == "source":
            name = LOADED_WITH.get(props["name"], props["name"])
            return spec.replace_attributes(key=dg.AssetKey([props["schema"], name]), owners=OWNERS)
        return spec.replace_attributes(
            key=dg.AssetKey([props["schema"], props["name"]]),
            group_name=str(props["schema"]),
            kinds={"dbt", "postgres"},
            owners=OWNERS,
            freshness_policy=LIST_FRESHNESS if props["schema"] == "analytics" else None,
        )


translator = Translator()
"""The one of all: it remembers the assets of the manifest, which each event of a build asks for."""
