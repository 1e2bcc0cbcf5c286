"""A file of integrations: reads it, plans the changes, exports it. Secrets only by reference.

Pure except for reading the file. Integrations that the file does not name are left alone. Not here:
carrying the plan out (`service`, `registry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cscart_pipelines.integrations.conflicts.order_prefixes import ambiguities
from cscart_pipelines.integrations.conflicts.overlap import clashes
from cscart_pipelines.integrations.registry import Integration
from cscart_pipelines.integrations.settings import (
    IntegrationSettings,
    InvalidSettingsError,
    check,
)


@dataclass(frozen=True)
class PlannedChange:
    """What is to be done for one integration of the file: add it, edit it, or nothing."""

    settings: IntegrationSettings
    new: bool
    differences: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def needed(self) -> bool:
        """Whether something is to be done."""
        return self.new or bool(self.differences)


def read(path: Path) -> list[IntegrationSettings]:
    """Reads `integrations: [{integration: …, url: …, api_key: env:NAME, …}]`.

    Raises:
        InvalidSettingsError: Names every problem of every entry.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSettingsError({"file": f"{path}: {error.strerror}"}) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no text, 31 February, too deep
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise InvalidSettingsError({"file": f"{path} is not YAML{where}"}) from None
    entries = document.get("integrations") if isinstance(document, Mapping) else None
    if not isinstance(entries, list):
        raise InvalidSettingsError({"file": f"{path}: expected a list under `integrations:`"})
    found: list[IntegrationSettings] = []
    problems: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        name = f"entry {number}"
        if not isinstance(entry, Mapping):
            problems[name] = "expected settings as `name: value`"
            continue
        name = str(entry.get("integration", name))
        try:
            found.append(check(_loose(entry)))
        except InvalidSettingsError as error:
            for key, text in error.problems.items():
                if key == "api_key_reference":
                    key, text = "api_key", f"{text}; the key itself has no place in a file"
                problems[f"{name}.{key}"] = text
    for what in ("integration", "list_name"):
        values = [getattr(one, what) for one in found]
        for value in sorted({value for value in values if values.count(value) > 1}):
            problems[f"{value}.{what}"] = "is in the file twice"
    for name, text in ambiguities(found).items():
        problems[f"{name}.order_prefix"] = text
    for name, text in clashes(found).items():
        problems[f"{name}.companies"] = text
    if problems:
        raise InvalidSettingsError(problems)
    return found


def _loose(entry: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(entry)
    if "api_key" in values:
        # Not a reference: refused with the other problems of the entry.
        values["api_key_reference"] = values.pop("api_key") or ""
    values.setdefault("list_name", values.get("integration"))
    return values


def plan(wanted: list[IntegrationSettings], known: list[Integration]) -> list[PlannedChange]:
    """Compares the file with the registry. An entry without `api_key` keeps the key as it is.

    Raises:
        InvalidSettingsError: A new integration has no `api_key`.
    """
    present = {one.key: one.settings.model_dump() for one in known}
    changes = []
    problems = {}
    for settings in wanted:
        before = present.get(settings.integration)
        if before is None:
            changes.append(PlannedChange(settings, new=True))
            if settings.api_key_reference is None:
                problems[f"{settings.integration}.api_key"] = (
                    "expected env:NAME or file:/path, for a new integration"
                )
            continue
        differences = {
            name: (before[name], value)
            for name, value in settings.model_dump().items()
            if before[name] != value and not (name == "api_key_reference" and value is None)
        }
        changes.append(PlannedChange(settings, new=False, differences=differences))
    if problems:
        raise InvalidSettingsError(problems)
    return changes


HEADER = """\
# An entry without api_key keeps the key that is sealed in the database. Where the database does not
# have the integration yet, name the key: api_key: env:NAME or api_key: file:/path
"""


def export(known: list[Integration]) -> str:
    """Returns the file for `read`, in which `plan` finds no change; without sealed keys."""
    entries = []
    for one in known:
        values = one.settings.model_dump(mode="json", exclude_defaults=True)
        if reference := values.pop("api_key_reference", None):
            values["api_key"] = reference
        if one.settings.start_date is not None:
            day = one.settings.start_date
            values["start_date"] = f"{day:%d/%m}/{day.year:04}"  # %Y has as many digits as it needs
        entries.append(values)
    return HEADER + yaml.safe_dump({"integrations": entries}, sort_keys=False, allow_unicode=True)
