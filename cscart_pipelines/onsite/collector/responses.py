"""Responses of the collector: statuses with their reasons, and what browsers ask about origins.

Reasons are short and the same for every client; nothing of a request is in them.
"""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel
from starlette.responses import Response

PROBLEM = "application/problem+json"
PREFLIGHT_SECONDS = 86_400


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def cors(origin: str | None) -> dict[str, str]:
    """Headers for an origin that is allowed; None: it is not, or there was none."""
    if origin is None:
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def accepted(origin: str | None) -> Response:
    """204: the batch is durable, or ignored on purpose."""
    return Response(status_code=204, headers=cors(origin))


def preflight(origin: str) -> Response:
    """204 to a browser that asks whether the origin may send."""
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
    """A refusal (RFC 9457).

    Args:
        status: HTTP status.
        detail: Why, in fixed words.
        origin: The origin whose pages may read the response.
        retry_after: Seconds after which the client may try again.
        close: Whether the connection ends because the rest of the body is not read.
        headers: Further headers.
    """
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    found = {**(headers or {}), **cors(origin)}
    if retry_after is not None:
        found["Retry-After"] = str(retry_after)
        # Browsers show a page no header of another origin's response but those named here.
        found["Access-Control-Expose-Headers"] = "Retry-After"
    if close:
        found["Connection"] = "close"
    return Response(body.model_dump_json(), status, found, media_type=PROBLEM)
