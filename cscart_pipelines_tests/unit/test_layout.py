"""Rules of the layout that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from cscart_pipelines.cli.services import demo
from cscart_pipelines_tests import PROJECT_ROOT

PACKAGE = PROJECT_ROOT / "cscart_pipelines"
SQL = re.compile(
    r"\s*(SELECT\s|WITH\s+\w+\s+AS\s|INSERT\s+INTO\s|UPDATE\s+(\w+\.|\S+\s+SET\s)|DELETE\s+FROM\s"
    r"|MERGE\s+INTO\s|(TRUNCATE|CREATE|ALTER|DROP|COPY)\s)"
)
RUNS_STATEMENTS = {"execute", "executemany", "copy"}
NO_STATEMENTS = {
    "defs/operations/run_retention.py": ".execute(",  # on the tables of Dagster's own storage
    "defs/shared/orphaned_runs.py": ".execute(",  # the method of a Dagster executor
    "cli/services/demo.py": demo.EXAMPLE_QUERY,  # on screen
}


def _statements(tree: ast.AST) -> Iterator[str]:
    """Texts that begin like SQL, and calls that run a statement on a connection or cursor."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode(errors="ignore")
            if SQL.match(text):
                yield text.strip()
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            is_copy_module = isinstance(owner, ast.Name) and owner.id == "copy"
            if node.func.attr in RUNS_STATEMENTS and not is_copy_module:
                yield f".{node.func.attr}("


@pytest.mark.parametrize("folder", ["cli", "defs"])
def test_sql_is_in_the_module_that_owns_the_table(folder: str) -> None:
    modules = sorted((PACKAGE / folder).rglob("*.py"))
    assert len(modules) > 20
    found = {}
    for path in modules:
        name = path.relative_to(PACKAGE).as_posix()
        statements = set(_statements(ast.parse(path.read_text("utf-8"))))
        if statements - {NO_STATEMENTS.get(name)}:
            found[name] = statements
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        'connection.execute("SELECT 1")',
        'QUERY = """\n    WITH due AS (SELECT 1) SELECT * FROM due"""',
        'f"UPDATE fulfilment.{table} SET state = 1"',
        "cursor.executemany(statement, rows)",
    ],
)
def test_the_rule_finds_statements(source: str) -> None:
    assert list(_statements(ast.parse(source)))


# --- language ------------------------------------------------------------------------------------

VAGUE = re.compile(r"\b(nobody|somebody|whoever|anybody|everybody)\b", re.IGNORECASE)
PROSE = ("cscart_pipelines", "benchmarks", "docs")


@pytest.mark.parametrize("folder", PROSE)
def test_texts_name_who_acts(folder: str) -> None:
    paths = [path for end in ("py", "md") for path in (PROJECT_ROOT / folder).rglob(f"*.{end}")]
    assert paths
    found = [
        f"{path.relative_to(PROJECT_ROOT)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if VAGUE.search(line)
    ]
    assert found == []


# --- pointers ------------------------------------------------------------------------------------

POINTER = re.compile(r"`([a-z_]+(?:[./][a-z_]+)*)/?`")
NO_MODULES = {"add", "edit", "fetch", "onsite.events", "release_dead"}
"""Commands, an argument, a table and a method that a docstring names where modules are named."""


def test_what_is_not_here_is_where_the_docstring_says() -> None:
    """Each module that a docstring names after "Not here:" exists."""
    folders = (PACKAGE, PROJECT_ROOT / "benchmarks")
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    modules = {f"/{path.relative_to(PROJECT_ROOT).with_suffix('')}" for path in paths}
    modules |= {name.removesuffix("/__init__") for name in modules}
    found, gone = 0, set()
    for path in paths:
        text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        said = re.search(r"Not\s+here:(.*?)(\n\n|$)", text, re.DOTALL)
        for name in set(POINTER.findall(said[1] if said else "")) - NO_MODULES:
            found += 1
            end = "/" + name.replace(".", "/")
            files = (folder / name for folder in (PROJECT_ROOT, PACKAGE, path.parent))
            if not any(one.endswith(end) for one in modules) and not any(
                one.exists() for one in files
            ):
                gone.add((str(path.relative_to(PROJECT_ROOT)), name))
    assert found > 300
    assert gone == set()
