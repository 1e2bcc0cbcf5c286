"""The onsite tracking file: a Google Tag Manager container export that is merged into the shop's.

Pure and deterministic: the same integration, key and address give the same bytes. Every name begins
with the prefix and the integration's key: a merge overwrites nothing of the shop's, and two
integrations can share a container. Nothing in the file is secret: write key and collector's address
are in every page anyway. Not here: the script (`tag_source`), the write key (`write_keys`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cscart_pipelines.integrations.settings import IntegrationSettings
from cscart_pipelines.onsite.tag_source import tag_html

PREFIX = "CS-Cart Pipelines"
CONSENT = "analytics_storage"
ACCOUNT = CONTAINER = "0"
"""Tag Manager puts its own numbers in when it imports."""

FOLDER_ID = "1"
TAG_ID = "1"
PAGE_TRIGGER_ID, EVENT_TRIGGER_ID = "1", "2"


@dataclass(frozen=True)
class TagOptions:
    """What the integration allows the tag beyond the default."""

    raw_email: bool = False
    """Send the e-mail address itself beside its SHA-256."""

    def text(self, integration: str) -> str:
        """The options in the form that the tag reads."""
        return f"integration={integration}; raw_email={'yes' if self.raw_email else 'no'}"


def container(
    settings: IntegrationSettings,
    write_key: str,
    collector_url: str,
    options: TagOptions,
    *,
    made_at: datetime,
) -> dict[str, Any]:
    """The export as Tag Manager reads it.

    Args:
        settings: The integration.
        write_key: Its present write key.
        collector_url: Where browsers reach the collector.
        options: What the tag may send.
        made_at: When the integration was created.
    """
    key = settings.integration
    values = _values(key, write_key, collector_url, options)
    html = tag_html(
        {place: f"{{{{{_name(key, what)}}}}}" for place, (what, _, _) in values.items()}
    )
    home = {"accountId": ACCOUNT, "containerId": CONTAINER}
    path = f"accounts/{ACCOUNT}/containers/{CONTAINER}"
    folder = {**home, "folderId": FOLDER_ID, "name": f"{PREFIX} - {key}"}
    return {
        "exportFormatVersion": 2,
        "exportTime": made_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "containerVersion": {
            "path": f"{path}/versions/0",
            **home,
            "containerVersionId": "0",
            "container": _marked(
                {
                    "path": path,
                    **home,
                    "name": f"{PREFIX} - {key}",
                    "publicId": "GTM-0000000",
                    "usageContext": ["WEB"],
                }
            ),
            "tag": [_tag(settings, html)],
            "trigger": _triggers(key),
            "variable": _variables(key, values),
            "folder": [_marked(folder)],
            "builtInVariable": [{**home, "type": "EVENT", "name": "Event"}],
        },
    }


def write(export: dict[str, Any]) -> bytes:
    """The file's bytes, laid out for people who look into it."""
    return (json.dumps(export, indent=2, ensure_ascii=False) + "\n").encode()


def _values(
    key: str, write_key: str, collector_url: str, options: TagOptions
) -> dict[str, tuple[str, str, str]]:
    """Returns what the script takes from variables: by its place, the name, the value, a note."""
    return {
        "collector": (
            "collector address",
            collector_url,
            "Where the tag sends what it measures: the collector of CS-Cart pipelines.",
        ),
        "write_key": (
            "write key",
            write_key,
            "Public. Says which shop the events belong to; of no use without the collector.",
        ),
        "options": (
            "options",
            options.text(key),
            "integration: which one. raw_email: yes sends e-mail addresses beside their SHA-256.",
        ),
    }


def _variables(key: str, values: dict[str, tuple[str, str, str]]) -> list[dict[str, Any]]:
    return [
        _entity(
            "variable",
            str(number),
            name=_name(key, what),
            type="c",
            notes=notes,
            parameter=[_template("value", value)],
            formatValue={},
        )
        for number, (what, value, notes) in enumerate(values.values(), 1)
    ]


def _triggers(key: str) -> list[dict[str, Any]]:
    return [
        _entity(
            "trigger",
            PAGE_TRIGGER_ID,
            name=_name(key, "all pages"),
            type="PAGEVIEW",
            notes="As soon as a page begins, for visitors who have agreed before.",
        ),
        _entity(
            "trigger",
            EVENT_TRIGGER_ID,
            name=_name(key, "any event"),
            type="CUSTOM_EVENT",
            notes=(
                "Whatever comes on the data layer, so that a visitor who agrees while looking at "
                "a page is measured from then on. The tag itself fires once a page."
            ),
            customEventFilter=[
                {
                    "type": "MATCH_REGEX",
                    "parameter": [_template("arg0", "{{_event}}"), _template("arg1", ".*")],
                }
            ],
        ),
    ]


def _tag(settings: IntegrationSettings, html: str) -> dict[str, Any]:
    return _entity(
        "tag",
        TAG_ID,
        name=_name(settings.integration, "onsite tracking"),
        type="html",
        notes=(
            f"Sends the collector the events of visitors of {settings.url}. Fires only with the"
            f" consent {CONSENT}; the script checks it again and stops when it is withdrawn. To"
            " remove: delete this folder with everything in it and publish."
        ),
        parameter=[
            _template("html", html),
            {"type": "BOOLEAN", "key": "supportDocumentWrite", "value": "false"},
        ],
        firingTriggerId=[PAGE_TRIGGER_ID, EVENT_TRIGGER_ID],
        tagFiringOption="ONCE_PER_LOAD",
        monitoringMetadata={"type": "MAP"},
        consentSettings={
            "consentStatus": "NEEDED",
            "consentType": {"type": "LIST", "list": [{"type": "TEMPLATE", "value": CONSENT}]},
        },
    )


def _name(key: str, what: str) -> str:
    return f"{PREFIX} - {key} - {what}"


def _entity(kind: str, number: str, **fields: Any) -> dict[str, Any]:
    return _marked(
        {
            "accountId": ACCOUNT,
            "containerId": CONTAINER,
            f"{kind}Id": number,
            **fields,
            "parentFolderId": FOLDER_ID,
        }
    )


def _template(key: str, value: str) -> dict[str, str]:
    return {"type": "TEMPLATE", "key": key, "value": value}


def _marked(entity: dict[str, Any]) -> dict[str, Any]:
    """With a fingerprint, which Tag Manager writes as digits: here of the content, not the time."""
    text = json.dumps(entity, sort_keys=True)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 10**13
    return {**entity, "fingerprint": f"{number:013d}"}
