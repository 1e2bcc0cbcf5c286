"""The asset `onsite/tracking_file`: the file for Google Tag Manager.

Materialising a partition shows the file of that integration as metadata, since a file on the
machine of a run may be out of reach; nothing in it is secret. Not here: what is in it
(`onsite.tracking_file`), the command that writes it (`cli.integration.tracking_file`).
"""

# Without `from __future__ import annotations`: Dagster reads the annotations as they are.
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from cscart_pipelines.app_context import AppContext
from cscart_pipelines.defs.ingestion.metadata import TRACKING_FILE, tracking_command
from cscart_pipelines.defs.shared import markdown
from cscart_pipelines.defs.shared.asset_specs import CODE_VERSION, OWNERS, code_version
from cscart_pipelines.defs.shared.failures import failure
from cscart_pipelines.defs.shared.partitions import integration_partitions, keys_of
from cscart_pipelines.defs.shared.resources import Pipelines
from cscart_pipelines.integrations.lifecycle import Action, NotAllowedError, require
from cscart_pipelines.integrations.registry import UnknownIntegrationError
from cscart_pipelines.onsite import tracking_file as tracking

FILE_VERSION = code_version(Path(tracking.__file__))


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            key=TRACKING_FILE,
            group_name="onsite",
            description="The onsite tracking file of an integration. Materialise its partition,"
            " copy the JSON of its metadata into a file, and import that into Google Tag Manager"
            " (Admin, Import Container, Merge). The command line writes the same file: "
            f"`{tracking_command('KEY')}`. Only for an enabled integration.",
            kinds={"json"},
            owners=OWNERS,
            code_version=FILE_VERSION,
            partitions_def=integration_partitions,
            skippable=True,
        )
    ],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def show_tracking_file(context: dg.AssetExecutionContext, pipelines: Pipelines) -> Iterator[Any]:
    """Shows the file of each integration.

    Raises:
        dagster.Failure: at the end, if an integration may not have its file.
    """
    refused: dict[str, str] = {}
    made = 0
    with pipelines.open() as app:
        for key in keys_of(context):
            try:
                shown = _file(app, key)
            except (NotAllowedError, UnknownIntegrationError) as error:
                refused[key] = str(error)
                continue
            made += 1
            yield dg.AssetMaterialization(
                TRACKING_FILE, partition=key, metadata=shown, tags={CODE_VERSION: FILE_VERSION}
            )
    if refused:
        table = markdown.table(("integration", "no file, because"), sorted(refused.items()))
        raise failure(refused, made, table)


def _file(app: AppContext, key: str) -> dict[str, Any]:
    integration = app.registry.get(key)
    require(Action.TRACKING_FILE, app.registry.standing(integration))
    collector = app.settings.collector_url
    with app.warehouse.connect(autocommit=True) as connection:
        file = tracking.tracking_file(connection, integration, collector)
    shown: dict[str, Any] = {
        "container": dg.MetadataValue.json(json.loads(file)),
        "file_name": tracking.file_name(key),
        "command": tracking_command(key),
    }
    if problem := tracking.drawback(integration.settings.url, collector):
        shown["to_mend"] = problem
    return shown
