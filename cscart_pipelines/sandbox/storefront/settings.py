"""What a storefront's owner has switched on: consent banner, add-on, theme, container.

Changed from Python or through the control API. No pages here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Consent = Literal["ask", "granted", "none"]
ThemeEvents = Literal["off", "objects", "gtag"]


@dataclass
class StorefrontSettings:
    """Options of one storefront. Raises ValueError for a value that does not exist.

    `container` is a Google Tag Manager container export; the pages then run it with the tag runner.
    `consent`: "ask" denies by default and shows a banner, "granted" grants to every visitor, "none"
    is a shop without consent mode. `ga4_addon` is CS-Cart's own Google add-on: page views and the
    purchase on the data layer. `theme_events` is a theme that also pushes GA4's e-commerce events,
    as plain objects or through gtag's `arguments`.
    """

    container: dict[str, Any] | None = None
    consent: Consent = "ask"
    ga4_addon: bool = False
    theme_events: ThemeEvents = "off"
    title: str = "Sandbox shop"

    def __post_init__(self) -> None:
        self.change()

    def change(self, **changes: Any) -> StorefrontSettings:
        """Sets some options at once, or none of them when one is wrong."""
        known = {each.name for each in fields(self)}
        if unknown := set(changes) - known:
            raise ValueError(f"unknown options: {', '.join(sorted(unknown))}")
        wanted = asdict(self) | changes
        if wanted["consent"] not in get_args(Consent):
            raise ValueError(f"consent: one of {', '.join(get_args(Consent))}")
        if wanted["theme_events"] not in get_args(ThemeEvents):
            raise ValueError(f"theme_events: one of {', '.join(get_args(ThemeEvents))}")
        container = wanted["container"]
        if container is not None and "containerVersion" not in container:
            raise ValueError("container: expected an export of a container (containerVersion)")
        for name, value in changes.items():
            setattr(self, name, value)
        return self
