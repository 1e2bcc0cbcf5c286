"""What a request's User-Agent tells: robots, and the kind of device. Pure.

The list of words is kept here by hand: it is for honest robots, which say what they are; the others
are what the limits are for. Not here: what becomes of a robot's events (`collector`).
"""

from __future__ import annotations

import re

ROBOTS = (
    "bot", "crawl", "spider", "slurp", "mediapartners", "adsbot", "facebookexternalhit",
    "embedly", "preview", "lighthouse", "pagespeed", "gtmetrix", "pingdom", "uptime", "statuscake",
    "site24x7", "monitor", "newrelic", "datadog", "dynatrace", "catchpoint", "checkly",
    "scrapy", "wget", "curl/", "libwww", "python-requests", "python-urllib", "aiohttp", "httpx/",
    "go-http-client", "java/", "okhttp", "axios", "node-fetch", "undici", "guzzlehttp", "validator",
    "archiver", "feedfetcher", "bytespider", "gptbot", "ccbot", "claudebot",
    "google-inspectiontool",
)  # fmt: skip
HEADLESS = ("headlesschrome", "phantomjs", "puppeteer", "playwright", "selenium", "electron/")
"""Browsers without a person before them: monitors, and tests, which may want to be heard."""
INNOCENT = ("cubot",)
"""Devices whose name only sounds like a robot's."""

_ROBOT = re.compile("|".join(map(re.escape, ROBOTS)))
_HEADLESS = re.compile("|".join(map(re.escape, HEADLESS)))
_INNOCENT = re.compile("|".join(map(re.escape, INNOCENT)))
_TABLET = re.compile(r"ipad|tablet|kindle|silk/|playbook|android(?!.*mobile)")
_PHONE = re.compile(r"iphone|ipod|mobi|android|windows phone")


def is_robot(agent: str, *, headless_too: bool = True) -> bool:
    """Whether this is no person; one that says nothing at all is none."""
    agent = _INNOCENT.sub("", agent[:1000].lower())
    if not agent.strip():
        return True
    return bool(_ROBOT.search(agent)) or (headless_too and bool(_HEADLESS.search(agent)))


def device(agent: str) -> str:
    """phone, tablet or desktop."""
    agent = agent[:1000].lower()
    if _TABLET.search(agent):
        return "tablet"
    return "phone" if _PHONE.search(agent) else "desktop"
