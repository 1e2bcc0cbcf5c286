"""The collector's OpenAPI description, made of the models that check a batch (`schema`)."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from cscart_pipelines.onsite.collector import schema
from cscart_pipelines.onsite.collector.responses import Problem
from cscart_pipelines.settings import Settings

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
    _, models = models_json_schema(
        [(schema.BatchBody, "validation"), (Problem, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    refusals = {str(status): _refusal(status) for status in _REFUSALS}
    parameters = [
        {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}},
        {"name": "Origin", "in": "header", "required": True, "schema": {"type": "string"},
         "description": "as browsers send it: one of the shop's"},
    ]  # fmt: skip
    json_object = {"application/json": {"schema": {"type": "object"}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Onsite tracking collector",
            "version": str(schema.VERSION),
            "description": "Accepts events from visitors' browsers; see the tracking file.",
        },
        "servers": [{"url": settings.collector_url}],
        "paths": {
            "/v1/events/{key}": {
                "post": {
                    "operationId": "submit",
                    "parameters": parameters,
                    "requestBody": {
                        "required": True,
                        "description": "JSON, whatever its content type says",
                        "content": {"application/json": {"schema": _ref("BatchBody")}},
                    },
                    "responses": {"204": {"description": "stored durably"}, **refusals},
                },
                "options": {
                    "operationId": "preflight",
                    "parameters": parameters,
                    "responses": {
                        "204": {"description": "the origin may send"},
                        **{status: refusals[status] for status in ("403", "404", "410", "429",
                                                                   "503")},
                    },
                },
            },
            "/health": {
                "get": {
                    "operationId": "health",
                    "responses": {
                        "200": {"description": "able to accept batches", "content": json_object},
                        "503": {"description": "unable", "content": json_object},
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
        "components": {"schemas": models["$defs"]},
    }  # fmt: skip


def _ref(model: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model}"}


def _refusal(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": _REFUSALS[status],
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return response
