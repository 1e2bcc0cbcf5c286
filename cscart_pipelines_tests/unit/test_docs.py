"""The documents: each reference in the code resolves, each link between pages leads somewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cscart_pipelines_tests import PROJECT_ROOT

PROJECT = PROJECT_ROOT
PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
CITATION = re.compile(
    r"\breference,?\s+((?:\d+(?:\.\d+)*)(?:(?:,| and)\s+\d+(?:\.\d+)*)*)", re.IGNORECASE
)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def _sources() -> Iterator[Path]:
    kinds = (".py", ".sql", ".yml", ".js", ".md")
    for folder in (
        "cscart_pipelines",
        "cscart_pipelines_tests",
        "dbt_project",
        "benchmarks",
        "docs",
    ):
        for path in (PROJECT / folder).rglob("*"):
            if path.suffix in kinds and "target" not in path.parts and path != Path(__file__):
                yield path


def _sections() -> set[str]:
    """Numbers of the reference's sections, and of the numbered points below them (1.13, 20.2)."""
    found, section = set(), ""
    for line in (PROJECT / "docs" / "cscart-api.md").read_text("utf-8").splitlines():
        if heading := re.match(r"#+ (\d+(?:\.\d+)*)", line):
            section = heading[1]
            found.add(section)
        elif point := re.match(r"(\d+)\. ", line):
            found.add(f"{section}.{point[1]}")
    return found


def _cited() -> dict[str, Path]:
    cited = {}
    for path in _sources():
        for numbers in CITATION.findall(path.read_text("utf-8")):
            cited.update(dict.fromkeys(re.findall(r"\d+(?:\.\d+)*", numbers), path))
    return cited


def test_each_section_of_the_reference_that_the_code_cites_is_there() -> None:
    cited = _cited()
    assert len(cited) > 30
    assert {number: str(path) for number, path in cited.items() if number not in _sections()} == {}


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_files_that_the_architecture_names_exist() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.(?:py|sql))?)`", text))
    assert len(named) > 25
    roots = (PROJECT, PROJECT / "cscart_pipelines")
    inside = {name for name in named if name.count("/") == 1 and name.endswith("/")}
    missing = {name for name in named if not any((root / name).exists() for root in roots)}
    # A folder inside a package is named without it where the line is about that package.
    packages = list((PROJECT / "cscart_pipelines").iterdir())
    assert {
        n for n in missing if n not in inside or not any((p / n).is_dir() for p in packages)
    } == set()


def test_no_package_holds_more_than_fifteen_modules() -> None:
    """The layout rule of CONTRIBUTING.md."""
    tops = [PROJECT / "cscart_pipelines", PROJECT / "benchmarks"]
    folders = [path.parent for top in tops for path in top.rglob("__init__.py")]
    modules = {folder: len([*folder.glob("*.py")]) - 1 for folder in folders}
    assert {str(f.relative_to(PROJECT)): n for f, n in modules.items() if n > 15} == {}


def test_every_page_is_kept() -> None:
    """Pages that git does not have would be missing for everyone else."""
    if not (PROJECT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert {str(page.relative_to(PROJECT)) for page in PAGES} <= set(listed)
