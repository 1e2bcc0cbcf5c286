"""The onsite tracking file: what Tag Manager needs to import it, and nothing that is secret."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from cscart_pipelines.integrations.settings import check
from cscart_pipelines.onsite.container import TagOptions, container, write
from cscart_pipelines.onsite.tag_source import tag_script

WRITE_KEY = "Abc_def-0123456789Abc_def-012345"
MADE_AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def made(key: str = "shop", **options: Any) -> dict[str, Any]:
    settings = check(
        {"integration": key, "list_name": "Tea & <b>", "url": "https://shop.example/store",
         "email": "boss@shop.example"}
    )  # fmt: skip
    return container(
        settings, WRITE_KEY, "https://c.example/in", TagOptions(**options), made_at=MADE_AT
    )


def entities(export: dict[str, Any]) -> list[dict[str, Any]]:
    version = export["containerVersion"]
    return [*version["tag"], *version["trigger"], *version["variable"], *version["folder"]]


def test_the_frame_is_that_of_an_export() -> None:
    export = made()
    version = export["containerVersion"]
    assert export["exportFormatVersion"] == 2
    assert export["exportTime"] == "2026-03-04 05:06:07"
    assert version["path"] == "accounts/0/containers/0/versions/0"
    assert version["container"]["usageContext"] == ["WEB"]
    assert [len(version[part]) for part in ("tag", "trigger", "variable", "folder")] == [1, 2, 3, 1]
    assert version["builtInVariable"] == [
        {"accountId": "0", "containerId": "0", "type": "EVENT", "name": "Event"}
    ]


def test_every_id_is_a_string_and_there_once() -> None:
    def look(value: Any) -> None:
        if isinstance(value, dict):
            for name, inner in value.items():
                if name.endswith("Id"):
                    texts = inner if isinstance(inner, list) else [inner]
                    assert all(isinstance(text, str) and text for text in texts), name
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    export = made()
    look(export)
    version = export["containerVersion"]
    for part, name in (("tag", "tagId"), ("trigger", "triggerId"), ("variable", "variableId")):
        ids = [entity[name] for entity in version[part]]
        assert len(ids) == len(set(ids))
    assert {entity["fingerprint"] for entity in entities(export)} >= {
        entity["fingerprint"] for entity in version["tag"]
    }
    assert all(re.fullmatch(r"\d{13}", entity["fingerprint"]) for entity in entities(export))


def test_everything_that_is_referred_to_is_there() -> None:
    export = made()
    version = export["containerVersion"]
    triggers = {trigger["triggerId"] for trigger in version["trigger"]}
    assert all(set(tag["firingTriggerId"]) == triggers for tag in version["tag"])
    folders = {folder["folderId"] for folder in version["folder"]}
    inside = [*version["tag"], *version["trigger"], *version["variable"]]
    assert {entity["parentFolderId"] for entity in inside} == folders
    named = {variable["name"] for variable in version["variable"]}
    named |= {variable["name"] for variable in version["builtInVariable"]}
    asked = set(re.findall(r"\{\{(.*?)\}\}", json.dumps(export)))
    assert asked == (named - {"Event"}) | {"_event"}  # `_event` is known to every trigger


def test_names_are_ours_and_of_this_integration_so_that_a_merge_overwrites_nothing() -> None:
    names = [entity["name"] for entity in entities(made("tea"))]
    assert all(name.startswith("CS-Cart Pipelines - tea") for name in names)
    assert len(names) == len(set(names))
    assert not set(names) & {entity["name"] for entity in entities(made("hats"))}
    # Tag Manager refuses names with these.
    assert not re.search("[:<>&\"']", "".join(names))


def test_the_tag_needs_consent_and_may_start_in_the_middle_of_a_page() -> None:
    version = made()["containerVersion"]
    [tag] = version["tag"]
    assert tag["consentSettings"] == {
        "consentStatus": "NEEDED",
        "consentType": {
            "type": "LIST", "list": [{"type": "TEMPLATE", "value": "analytics_storage"}]
        },
    }  # fmt: skip
    assert tag["tagFiringOption"] == "ONCE_PER_LOAD"
    assert [trigger["type"] for trigger in version["trigger"]] == ["PAGEVIEW", "CUSTOM_EVENT"]
    [condition] = version["trigger"][1]["customEventFilter"]
    assert condition["type"] == "MATCH_REGEX"
    assert [one["value"] for one in condition["parameter"]] == ["{{_event}}", ".*"]
    assert all(entity["notes"] for entity in [tag, *version["trigger"], *version["variable"]])


def test_variables_carry_the_address_the_public_key_and_the_options() -> None:
    def values(**options: Any) -> list[str]:
        variables = made(**options)["containerVersion"]["variable"]
        assert {variable["type"] for variable in variables} == {"c"}
        return [variable["parameter"][0]["value"] for variable in variables]

    assert values() == ["https://c.example/in", WRITE_KEY, "integration=shop; raw_email=no"]
    assert values(raw_email=True)[2] == "integration=shop; raw_email=yes"


def test_the_same_integration_gives_the_same_bytes() -> None:
    assert write(made()) == write(made())
    assert write(made()) != write(made(raw_email=True))
    assert json.loads(write(made())) == made()


def test_the_address_of_the_administrator_is_not_in_it() -> None:
    assert b"boss" not in write(made())
    assert b"Tea & " not in write(made())


def test_nothing_can_break_out_of_the_script() -> None:
    html = made()["containerVersion"]["tag"][0]["parameter"][0]["value"]
    assert html.startswith("<script>\n(function () {")
    assert html.endswith("})();\n</script>\n")
    assert html.count("<script") == html.count("</script") == 1
    assert "@" not in re.sub(r"\[\^@\\s\]\+@\[\^@\\s\]\+|\[\^\\/\?#@:\]\+", "", html)
    good = {"collector": "https://c.example", "write_key": WRITE_KEY, "options": "a=b"}
    for odd in ("'", '"', "\\", "\n", "</script>"):
        with pytest.raises(ValueError, match="options cannot stand inside quotes"):
            tag_script({**good, "options": f"a{odd}"})


def test_the_script_fits_into_a_custom_html_tag_and_uses_no_newer_syntax() -> None:
    script = tag_script(
        {"collector": "https://c.example", "write_key": WRITE_KEY, "options": "integration=shop"}
    )
    assert len(script.encode()) < 100_000  # Tag Manager's limit is 102,400 characters a field
    code = _code_only(script)
    newer = re.findall(
        r"=>|`|\.\.\.|\b(?:const|let|class|async|await|yield|import|export|of)\b|\?\.|\?\?|\*\*",
        code,
    )
    assert newer == []
    assert re.findall(r"\beval\b|\bFunction\s*\(|document\.write|innerHTML", code) == []
    # Names that only later versions allow after a dot: old compilers stop at them.
    assert re.findall(r"\.(?:catch|default|delete|finally|continue)\b", code) == []
    assert re.search(r",\s*[)\]}]", code) is None


def test_the_check_of_the_syntax_would_notice() -> None:
    code = _code_only("var a = 'let it'; // const\nlet b = /`/; f(a => 1);")
    assert re.findall(r"=>|`|\b(?:const|let)\b", code) == ["let", "=>"]


def _code_only(script: str) -> str:
    """The script without comments, strings and regular expressions."""
    token = re.compile(
        r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
        r"|(?<=[(=:,!&|?\s])/(?![/*\s])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n\[])+/[a-z]*",
        re.S,
    )
    return token.sub(lambda found: "//" if found[0].startswith("//") else "''", script)
