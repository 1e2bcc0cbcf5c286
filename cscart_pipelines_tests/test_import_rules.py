"""Imports go one way: defs, cli -> sync, fulfilment -> integrations -> cscart, warehouse ->
settings.

The shop and the store room never see each other, only the control room knows Dagster, and nobody
but the command line imports the sandbox.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "cscart_pipelines"
LOWER = {"settings", "spreadsheets", "identity", "cscart", "warehouse"}
MAY_SEE = {
    "settings": set(),
    "spreadsheets": set(),
    "identity": set(),
    "cscart": {"cscart"},
    "warehouse": {"warehouse", "settings", "identity"},
    "integrations": {"integrations"} | LOWER,
    "sync": {"sync", "integrations"} | LOWER,
    "fulfilment": {"fulfilment", "integrations"} | LOWER,
    "onsite": {"onsite", "integrations"} | LOWER,
    "defs": {"defs", "definitions", "sync", "fulfilment", "onsite", "integrations"} | LOWER,
    "definitions": {"defs"},
    "cli": {"cli", "sync", "fulfilment", "onsite", "integrations", "sandbox"} | LOWER,
    "sandbox": {"sandbox"},
}
ONLY_IN = {
    "dagster": {"defs", "definitions"},
    "dagster_dbt": {"defs"},
    "typer": {"cli"},
    "rich": {"cli"},
    "psycopg": {"warehouse", "integrations", "sync", "fulfilment", "onsite", "cli", "defs"},
    "starlette": {"onsite"},
    "uvicorn": {"cli", "onsite"},
}
"""Libraries that belong to certain rooms."""


def _imports(path: Path) -> set[str]:
    """Dotted names of what a module imports, relative imports resolved."""
    inside = ("cscart_pipelines", *path.relative_to(PACKAGE).with_suffix("").parts[:-1])
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(inside[: len(inside) - node.level + 1]) if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{name.name}" for name in node.names}
    return found


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_sees_only_the_rooms_below(path: Path) -> None:
    room = _room(path)
    if room == "__init__":
        return
    seen = {
        name.split(".")[1]
        for name in _imports(path)
        if name.startswith("cscart_pipelines.") and name != "cscart_pipelines.__version__"
    }
    assert seen <= MAY_SEE[room], f"{room} must not see {seen - MAY_SEE[room]}"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_library_stays_in_its_rooms(path: Path) -> None:
    libraries = {name.split(".")[0] for name in _imports(path)}
    for library, rooms in ONLY_IN.items():
        if _room(path) not in rooms:
            assert library not in libraries, f"{library} in {_room(path)}"


def test_the_rules_would_notice(tmp_path: Path) -> None:
    offender = PACKAGE / "cscart" / "client.py"
    assert "cscart_pipelines.cscart.errors.AmbiguousWrite" in _imports(offender)
    assert all(_room(path) in {*MAY_SEE, "__init__"} for path in _modules())


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_opens_with_what_belongs_in_it(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert len(text) > 30, "a paragraph that says what belongs there, please"
