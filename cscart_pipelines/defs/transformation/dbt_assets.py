"""The dbt project as Dagster sees it: its manifest, and the names of its assets.

Not here: building the models (`dbt_build`), the files of the project
(`cscart_pipelines.dbt_project`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from cscart_pipelines.dbt_project import PROJECT_DIR, parse_if_stale
from cscart_pipelines.defs.shared.asset_specs import OWNERS


@functools.cache
def dbt_project() -> DbtProject:
    """The project with a manifest that is up to date; looked at once a process."""
    project = DbtProject(project_dir=PROJECT_DIR)
    parse_if_stale(project.manifest_path)
    return project


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
