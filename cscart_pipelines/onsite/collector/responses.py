"""What the collector answers: statuses with their reasons, and what browsers ask about origins.

Reasons are short and the same for everybody; nothing of a request stands in them.
"""

from __future__ import annotations

from http import HTTPStatus

import orjson
from starlette.responses import Response

PROBLEM = "application/problem+json"
PREFLIGHT_SECONDS = 86_400


def cors(origin: str | None) -> dict[str, str]:
    """For an origin that is allowed; None: it is not, or there was none."""
    if origin is None:
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def taken(origin: str | None) -> Response:
    return Response(status_code=204, headers=cors(origin))


def preflight(origin: str) -> Response:
    return Response(
        status_code=204,
        headers={
            **cors(origin),
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Content-Type",
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        },
    )


def problem(
    status: int,
    detail: str,
    *,
    origin: str | None = None,
    retry_after: int | None = None,
    close: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    """A refusal (RFC 9457). `retry_after` in seconds; `close`: the rest of the body is not read."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status,
            "detail": detail}  # fmt: skip
    found = {**(headers or {}), **cors(origin)}
    if retry_after is not None:
        found["Retry-After"] = str(retry_after)
        # A page is shown no header of another origin's answer but those named here.
        found["Access-Control-Expose-Headers"] = "Retry-After"
    if close:
        found["Connection"] = "close"
    return Response(orjson.dumps(body), status, found, media_type=PROBLEM)
