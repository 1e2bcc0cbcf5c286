"""The collector's OpenAPI description: what a client may send and what it gets.

Put together from the constants that the checks themselves use. Not here: the checks (`wire`).
"""

from __future__ import annotations

from typing import Any

from cscart_pipelines.onsite.collector import schema as collector_schema
from cscart_pipelines.settings import Settings

_ID = {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,64}$"}
_MOMENT = {
    "type": "integer",
    "minimum": 0,
    "maximum": collector_schema.LAST_MS,
    "description": "milliseconds since 1970 by the browser's clock",
}
_ITEM = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "maxLength": 64},
        "product_id": {"type": "string", "maxLength": 20},
        "quantity": {"type": "integer", "minimum": 1, "maximum": collector_schema.MOST_QUANTITY},
    },
}
_EVENT = {
    "type": "object",
    "required": ["id", "name", "at"],
    "properties": {
        "id": {**_ID, "description": "the same however often the event is sent"},
        "name": {"type": "string", "enum": sorted(collector_schema.NAMES)},
        "at": _MOMENT,
        "page": {"type": "string", "description": "path, and dispatch"},
        "referrer": {"type": "string", "description": "host"},
        "items": {"type": "array", "items": _ITEM, "maxItems": collector_schema.MOST_ITEMS},
        "order_id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,32}$"},
        "term": {"type": "string"},
        "source": {"type": "string", "enum": sorted(collector_schema.SOURCES)},
    },
}
_BATCH = {
    "type": "object",
    "required": ["v", "sent_at", "visitor", "events"],
    "properties": {
        "v": {"type": "integer", "enum": [collector_schema.VERSION]},
        "sent_at": _MOMENT,
        "visitor": _ID,
        "identity": {
            "type": "object",
            "properties": {
                "email_sha256": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
                "email": {"type": "string", "description": "kept only where that is allowed"},
            },
        },
        "events": {
            "type": "array",
            "items": _EVENT,
            "minItems": 1,
            "maxItems": collector_schema.MOST_EVENTS,
        },
    },
}
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_REFUSALS = {
    400: "no batch can be read from the body",
    403: "the origin is not one of the shop's",
    404: "unknown write key",
    410: "the key was replaced, or its integration is disabled or removed",
    413: "more than 64 KB",
    429: "too many; Retry-After says for how long",
    503: "overloaded; Retry-After says for how long",
}


def description(settings: Settings) -> dict[str, Any]:
    """The document at /openapi.json."""
    refusals = {str(status): _refusal(status, about) for status, about in _REFUSALS.items()}
    key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
    origin = {
        "name": "Origin", "in": "header", "required": True,
        "schema": {"type": "string"}, "description": "as browsers send it: one of the shop's",
    }  # fmt: skip
    schema = {"schema": {"$ref": "#/components/schemas/Batch"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Onsite tracking collector",
            "version": str(collector_schema.VERSION),
            "description": "Accepts events from visitors' browsers; see the tracking file.",
        },
        "servers": [{"url": settings.collector_url}],
        "paths": {
            "/v1/events/{key}": {
                "post": {
                    "operationId": "take",
                    "parameters": [key, origin],
                    "requestBody": {
                        "required": True,
                        "description": "JSON, whatever its content type says",
                        "content": {"application/json": schema},
                    },
                    "responses": {"204": {"description": "taken, durably"}, **refusals},
                },
                "options": {
                    "operationId": "preflight",
                    "parameters": [key, origin],
                    "responses": {
                        "204": {"description": "the origin may send"},
                        **{one: refusals[one] for one in ("403", "404", "410", "429", "503")},
                    },
                },
            },
            "/health": {
                "get": {
                    "operationId": "health",
                    "responses": {
                        "200": _json("able to take batches", {"type": "object"}),
                        "503": _json("unable", {"type": "object"}),
                    },
                }
            },
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "responses": {
                        "200": {
                            "description": "Prometheus text",
                            "content": {"text/plain": {"schema": {"type": "string"}}},
                        }
                    },
                }
            },
        },
        "components": {"schemas": {"Batch": _BATCH, "Problem": _PROBLEM}},
    }


def _refusal(status: int, about: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": about,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return answer


def _json(about: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": schema}}}
