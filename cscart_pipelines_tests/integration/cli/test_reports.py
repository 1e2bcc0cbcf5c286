"""`lists` and `segments` over a built warehouse, for people and for scripts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from cscart_pipelines.cli import main as cli
from cscart_pipelines.cli import segment_report
from cscart_pipelines.cli.support import console
from cscart_pipelines.settings import Settings, read_settings
from cscart_pipelines_tests.conftest import Database
from cscart_pipelines_tests.support.dbt.builds import WITHOUT_TESTS, build
from cscart_pipelines_tests.support.dbt.builds import dbt_target as dbt_target
from cscart_pipelines_tests.support.shop.commands import Installation, Result, Run
from cscart_pipelines_tests.support.shop.commands import installation as installation
from cscart_pipelines_tests.support.shop.commands import run as run
from cscart_pipelines_tests.support.shop.syncs import connected

NASTY = '=HYPERLINK("http://x","y")'


@pytest.fixture(scope="module")
def built(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory, dbt_target: Path
) -> Iterator[tuple[Database, Settings]]:
    home = tmp_path_factory.mktemp("home")
    settings = read_settings({"CSCART_PIPELINES_HOME": str(home), **module_database.settings_env})
    with connected(module_database, settings, "4.20", "empty") as made:
        made.key = "tea"
        made.add()
        store = made.store
        store.add_product("Bag", "10.00")
        for number in range(6):
            buyer = store.add_customer(
                f"b{number}@mail.internal", firstname=NASTY, phone="+306912345678"
            )
            if number:
                store.place_order(
                    user_id=buyer.user_id, email=buyer.email, status="C", lines=[(1, number)]
                )
        made.sync()
        Installation(module_database, settings).save("empty", list_name="Not [built] yet")
        build(module_database, None, *WITHOUT_TESTS, target=dbt_target)
        Installation(module_database, settings).save("late", list_name="[/]")
        yield module_database, settings


@pytest.fixture
def ask(
    built: tuple[Database, Settings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    database, settings = built
    monkeypatch.setattr(console.out, "width", console.WIDE)
    monkeypatch.setenv("CSCART_PIPELINES_HOME", str(settings.home))
    monkeypatch.setenv("CSCART_PIPELINES_DATABASE_URL", database.url)

    def command(*arguments: str) -> Result:
        capsys.readouterr()
        code = cli.run(list(arguments))
        said = capsys.readouterr()
        return Result(code, said.out, said.err)

    return command


def test_lists_shows_every_list_with_its_metrics(ask: Run) -> None:
    lines = ask("lists").out.splitlines()
    row = {line.rsplit("  ", 7)[0].split()[0]: line for line in lines[1:]}
    assert "Not [built] yet empty" in row["Not"]
    assert "[/] late" in row["[/]"]
    assert len(lines) >= 4
    listed = {one["integration"]: one for one in ask("lists", "--json").json}
    assert listed["late"]["metrics"] is None
    assert listed["tea"]["metrics"]["subscribers"] == 6
    assert listed["tea"]["metrics"]["buyers"] == 5
    assert listed["tea"]["metrics"]["net_revenue"] == "150.00"


def test_one_list_with_all_its_metrics(ask: Run) -> None:
    done = ask("lists", "tea")
    for words in ("subscribers", "orders, 30 d", "repeat purchase rate", "net revenue in all"):
        assert words in done.out
    assert ask("lists", "tea", "--json").json["metrics"]["purchases"] == 5
    late = ask("lists", "late")
    assert (late.code, "integration start late" in late.out) == (0, True)


def test_segments_shows_how_many_and_what_they_bought(ask: Run) -> None:
    done = ask("segments", "tea")
    assert done.code == 0
    assert "segments tea --export DIR" in done.out
    segments = {row["segment"]: row for row in ask("segments", "tea", "--json").json}
    assert len(segments) > 7
    assert segments["new_customers"]["members"] >= 0
    assert [*segments][:2] == ["new_customers", "recent_buyers_30"]


def test_one_segment_is_explained_with_its_members(ask: Run) -> None:
    (size,) = [r for r in ask("segments", "tea", "--json").json if r["segment"] == "aov_mid"]
    found = ask("segments", "tea", "aov_mid", "--json").json
    assert {**found, **size} == found
    assert len(found["people"]) == found["members"] == 2
    assert found["thresholds"]["list_average_order_value"].startswith("30.0")
    assert (found["entered_7d"], found["left_30d"]) == (2, 0)
    done = ask("segments", "tea", "aov_mid", "--limit", "1")
    for words in ("Average order value from 0.67 up to 1.5", "threshold of this list:",
                  "30.00 EUR", "2 entered, 0 left", "1 of 2 members", "list 30"):  # fmt: skip
        assert words in done.out, done.out
    rows = list(csv.DictReader(ask("segments", "tea", "aov_mid", "--csv").out.splitlines()))
    assert [row["identity"] for row in rows] == [one["identity"] for one in found["people"]]
    assert rows[0]["firstname"] == f"'{NASTY}"
    assert found["people"][0]["firstname"] == NASTY


@pytest.mark.parametrize(
    ("name", "meant"),
    [("aov_hihg", "aov_high"), ("AOV-High", "aov_high"), ("vips", "vip"), ("xyzzyx", None)],
)
def test_a_segment_that_does_not_exist_is_told_with_what_was_meant(
    ask: Run, name: str, meant: str | None
) -> None:
    done = ask("segments", "tea", name)
    assert done.code == 2
    assert (f"did you mean {meant}" in done.err) == (meant is not None)
    assert "segments tea" in done.err


def test_every_threshold_of_the_list_has_words(ask: Run) -> None:
    catalogue = ask(
        "sql", "--json", "SELECT segment, list_thresholds FROM intermediate.segment_catalogue"
    ).json
    of_segments = {row["segment"]: (row["list_thresholds"] or "").split() for row in catalogue}
    columns = {column for some in of_segments.values() for column in some}
    assert columns == segment_report.WORDS.keys()
    (statistics,) = ask(
        "sql", "--json", "SELECT * FROM intermediate.int_list_statistics WHERE integration = 'tea'"
    ).json
    known = {name for name in columns if statistics[name] is not None}
    assert known
    for segment in {row["segment"] for row in ask("segments", "tea", "--json").json}:
        told = ask("segments", "tea", segment, "--json").json["thresholds"]
        assert [*told] == [name for name in of_segments[segment] if name in known], segment


def test_the_overviews_are_csv_too(ask: Run) -> None:
    rows = list(csv.DictReader(ask("lists", "--csv").out.splitlines()))
    buyers = {row["integration"]: row["buyers"] for row in rows}
    assert (buyers["empty"], buyers["late"], buyers["tea"]) == ("0", "", "5")
    rows = list(csv.DictReader(ask("segments", "tea", "--csv").out.splitlines()))
    assert len(rows) == len(ask("segments", "tea", "--json").json)


def test_segments_that_are_not_built_are_told(ask: Run) -> None:
    done = ask("segments", "late")
    assert (done.code, "integration start late" in done.err) == (4, True)
    assert ask("segments", "nobody").code == 2
    assert ask("lists", "nobody").code == 2


def test_an_export_has_one_file_per_segment_and_no_formulas(ask: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "export"
    done = ask("segments", "tea", "--export", str(folder))
    assert done.code == 0
    segments = {row["segment"]: row["members"] for row in ask("segments", "tea", "--json").json}
    assert {path.stem for path in folder.iterdir()} == segments.keys()
    assert {path.suffix for path in folder.iterdir()} == {".csv"}
    for name, members in segments.items():
        with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        if name != "category_affinity":  # there a person is listed once per category
            assert len(rows) == members
        for row in rows:
            assert row["firstname"] == f"'{NASTY}"
            assert row["email"].endswith("@mail.internal")
            assert row["mobile"].startswith("+30")
    assert any(segments.values())
    done = ask("segments", "tea", "--export", str(tmp_path / "raw"), "--raw")
    assert done.code == 0
    exact = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "raw").iterdir())
    assert f'"{NASTY.replace(chr(34), chr(34) * 2)}"' in exact
    assert ask("segments", "tea", "--raw").code == 2
    # Twice is as once, and a file in the place of the folder is told.
    assert ask("segments", "tea", "--export", str(folder)).code == 0
    (tmp_path / "file").write_text("")
    done = ask("segments", "tea", "--export", str(tmp_path / "file"))
    assert (done.code, "File exists" in done.err) == (2, True)


def test_without_any_list_the_next_step_is_told(run: Run, installation: Installation) -> None:
    assert "No lists yet. Next: " in run("lists").out
    assert run("lists", "--json").json == []
    installation.save()
    assert "–" in run("lists").out
