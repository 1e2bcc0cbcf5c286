"""Tables that models read and no run fills: the command line writes them, or the collector.

They are in the graph, so that it shows where everything comes from; they cannot be materialised.
Their descriptions are those of the dbt sources. Not here: what is read from shops
(`ingestion.assets`).
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import orjson

from cscart_pipelines.defs.transformation.dbt_assets import dbt_project, translator

SCHEMAS = ("fulfilment", "onsite", "registry")

project = dbt_project()
manifest = orjson.loads(project.manifest_path.read_bytes())
inlets = [
    translator.get_asset_spec(manifest, unique_id, project).replace_attributes(
        group_name=source["schema"], kinds={"postgres"}
    )
    for unique_id, source in sorted(manifest["sources"].items())
    if source["schema"] in SCHEMAS
]


def as_read() -> Iterator[dg.AssetMaterialization]:
    """What a build of all models says of them: it has read them as they are now."""
    for inlet in inlets:
        yield dg.AssetMaterialization(inlet.key, description="as a build of the models read it")
