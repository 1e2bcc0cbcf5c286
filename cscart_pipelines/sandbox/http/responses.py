"""Responses before they are sent: `SandboxResponse`, the API's error bodies and HTML pages.

Reference 3.1, 5 and 7. No routing and no entity rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from cscart_pipelines.sandbox.http.php import encode
from cscart_pipelines.sandbox.shop.profiles import Profile

JSON = "application/json"
HTML = "text/html; charset=utf-8"
REALM = 'Basic realm="User email/API key"'


@dataclass(slots=True)
class SandboxResponse:
    """A response before it is sent."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


class ApiError(Exception):
    """A refusal with a status; `messages` and `errors` are its reasons (reference 7.1)."""

    def __init__(
        self, status: int, *messages: str, errors: Sequence[str] = (), bare: bool = False
    ) -> None:
        super().__init__(status, *messages)
        self.status = status
        self.messages = () if bare else messages
        self.errors = tuple(errors)


class CrashError(Exception):
    """Something inside the shop breaks: an HTML page comes out (reference 1.13)."""


def ok(body: Any, status: int = 200) -> SandboxResponse:
    """A JSON response."""
    return SandboxResponse(status, encode(body))


def error(failure: ApiError, profile: Profile) -> SandboxResponse:
    """An error in the form of the shop's version (reference 7)."""
    phrase = HTTPStatus(failure.status).phrase
    reasons = [*failure.errors, *failure.messages]
    body: dict[str, Any] = {"message": ": ".join(filter(None, [phrase, ". ".join(reasons)]))}
    if profile.structured_errors:
        if failure.messages:
            body["messages"] = list(failure.messages)
        if failure.errors:
            body["errors"] = list(failure.errors)
    body["status"] = failure.status
    answer = SandboxResponse(failure.status, encode(body))
    if failure.status == 401:
        answer.headers["WWW-Authenticate"] = REALM
    return answer


def html(status: int, title: str, text: str, **headers: str) -> SandboxResponse:
    """A page of HTML where JSON was expected."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>{text}</body></html>\n"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SandboxResponse(status, page.encode(), HTML, named)


def crash_page(profile: Profile) -> SandboxResponse:
    """The page of an uncaught error: 503 with Retry-After up to 4.7, 500 later (reference 7.2)."""
    if profile.crash_status == 503:
        text = "<h1>Service unavailable</h1>"
        return html(503, "Service unavailable", text, Retry_After="300")
    return html(500, "Internal Server Error", "<h1>Oops, something went wrong</h1>")


def server_404() -> SandboxResponse:
    """The web server's own page where rewriting is off (reference 2.3)."""
    text = "<center><h1>404 Not Found</h1></center><hr><center>nginx</center>"
    return html(404, "404 Not Found", text)


def login_page() -> SandboxResponse:
    """The login page that a wrong address leads to."""
    form = '<form method="post"><input name="user_login"><input name="password"></form>'
    return html(200, "Sign in", form)
