"""The habits of the dbt project, read from its manifest; in place of dbt-project-evaluator.

Parsed once, without a database and without any variable set.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cscart_pipelines.warehouse.tables import onsite  # noqa: F401 - its tables are in the metadata
from cscart_pipelines.warehouse.tables.base import metadata
from cscart_pipelines_tests.support.dbt.builds import PROJECT, dbt

LAYERS = {"staging": "stg_", "intermediate": "int_", "marts": ""}
CLOCKS = r"\b(now\s*\(|current_timestamp|current_date|localtimestamp|clock_timestamp|getdate)"
CONTRACT = {
    "lists",
    "subscribers",
    "orders",
    "order_lines",
    "customer_facts",
    "rfm_scores",
    "segments",
    "segment_members",
    "segment_changes",
    "list_metrics",
    "list_metrics_daily",
    "cohort_retention",
    "cohort_retention_by_account",
    "segment_migration",
    "onsite_sessions",
    "onsite_daily",
    "product_funnel",
}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    target = tmp_path_factory.mktemp("manifest")
    # A password of digits must stay text.
    output = dbt({"CSCART_PIPELINES_DBT_PASSWORD": "0042"}, "parse", target=target)
    assert "deprecat" not in output.lower(), output
    return dict(json.loads((target / "manifest.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, Any]:
    return {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == "model"}


def layer(model: dict[str, Any]) -> str:
    return str(model["fqn"][1])


def test_models_are_named_after_their_layer_and_live_in_its_schema(models: dict[str, Any]) -> None:
    for name, model in models.items():
        prefix = LAYERS[layer(model)]
        assert name.startswith(prefix), name
        assert prefix or not name.startswith(("stg_", "int_")), name
        schema = "analytics" if layer(model) == "marts" else layer(model)
        assert model["schema"] == schema, name


def test_every_model_and_every_column_is_described(models: dict[str, Any]) -> None:
    for name, model in models.items():
        assert model["description"].strip(), name
        assert model["columns"], name
        for column in model["columns"].values():
            assert column["description"].strip(), (name, column["name"])


def test_descriptions_name_the_columns_that_the_models_select(models: dict[str, Any]) -> None:
    """For the layers without contracts, whose columns PostgreSQL does not check for us: the last
    select lists them, unless it takes those of another step with a star."""
    for name, model in models.items():
        final = model["raw_code"].rpartition("\nselect")[2] or model["raw_code"]
        if layer(model) == "marts" or ".*" in final or "{% for" in final or "case\n" in final:
            continue
        found = set(
            re.findall(r"(?:\bas |^    (?:\w+\.)?)(\w+),?$", final.split("\nfrom ")[0], re.M)
        )
        assert found == set(model["columns"]), name


def test_marts_have_contracts_and_keys(manifest: dict[str, Any], models: dict[str, Any]) -> None:
    """A table by an index, which no test repeats; a view by a test."""
    tested = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") == "unique_key"
    }
    for name, model in models.items():
        is_view = model["config"]["materialized"] == "view_in_place"
        if layer(model) == "marts":
            assert model["contract"]["enforced"], name
            assert is_view == (model["unique_id"] in tested), name
            assert is_view != bool(model["constraints"]), name
            assert "integration" in model["columns"], name
        else:
            assert is_view or model["unique_id"] not in tested, name


def test_a_build_runs_the_cheap_tests_only(manifest: dict[str, Any]) -> None:
    """The others read whole lists, or compare layers."""
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    with_builds = {node["name"] for node in tests if "daily" not in node["config"]["tags"]}
    assert {name.partition("_rfm")[0] for name in with_builds} == {
        "accepted_between",
        "cohorts_agree_with_themselves",
        "time_zones_are_known",
    }
    assert len(tests) > 2 * len(with_builds)


def test_every_source_is_read_and_every_exposure_stands_on_what_there_is(
    manifest: dict[str, Any], models: dict[str, Any]
) -> None:
    read = {parent for model in models.values() for parent in model["depends_on"]["nodes"]}
    assert manifest["sources"].keys() <= read
    exposures = {one["name"]: one for one in manifest["exposures"].values()}
    assert exposures.keys() == {"list_overview", "segment_exports", "fulfilment_feed"}
    for one in exposures.values():
        assert one["depends_on"]["nodes"]
    for name, model in models.items():
        assert model["group"], name
    assert all(group["owner"]["name"] for group in manifest["groups"].values())


def test_every_model_is_rewritten_in_place(models: dict[str, Any]) -> None:
    """dbt's own ways drop the old relation, with all that users have built on it."""
    kinds = {model["config"]["materialized"] for model in models.values()}
    assert kinds == {"table_in_place", "view_in_place", "ephemeral"}
    # What the view customer_facts is made of: the data of a removed integration stays there too.
    behind_a_mart = {"int_customer_activity", "int_purchase_gaps", "int_shop_settings"}
    for name, model in models.items():
        if model["config"]["materialized"] == "table_in_place":
            stays = layer(model) == "marts" or name in behind_a_mart
            rewrites = "connected" if stays else "all"
            assert model["config"]["meta"]["rewrites"] == rewrites, name


def test_marts_are_those_of_the_contract(models: dict[str, Any]) -> None:
    marts = {name for name, model in models.items() if layer(model) == "marts"}
    assert marts == CONTRACT | {"order_reconciliation"}


def test_only_staging_reads_sources_and_nothing_reads_downwards(models: dict[str, Any]) -> None:
    rank = {name: number for number, name in enumerate(LAYERS)}
    by_id = {model["unique_id"]: model for model in models.values()}
    for name, model in models.items():
        for parent in model["depends_on"]["nodes"]:
            if parent.startswith("source."):
                assert layer(model) == "staging", (name, parent)
            elif not parent.startswith("seed."):
                assert rank[layer(by_id[parent])] <= rank[layer(model)], (name, parent)


VIEWS = ("cscart.customer_contacts", "cscart.order_contacts")
"""Made by a migration."""


def test_sources_are_tables_of_the_warehouse_with_dagsters_keys(manifest: dict[str, Any]) -> None:
    for source in manifest["sources"].values():
        assert f"{source['schema']}.{source['name']}" in {*metadata.tables, *VIEWS}
        assert source["description"].strip()
        if source["schema"] == "cscart":
            assert source["meta"]["dagster"]["asset_key"] == ["cscart", source["name"]]


def test_every_column_read_from_a_source_exists(models: dict[str, Any]) -> None:
    for name, model in models.items():
        if layer(model) == "staging":
            for parent in model["depends_on"]["nodes"]:
                kind, _, schema, *table = parent.split(".")
                found = f"{schema}.{table[0]}" if table else ""
                if kind == "source" and found not in VIEWS:
                    for column in re.findall(rf"\b{table[0]}\.(\w+)", model["raw_code"]):
                        assert column in metadata.tables[found].columns, (name, column)


def test_no_model_reads_the_clock(models: dict[str, Any]) -> None:
    sources = {name: model["raw_code"] for name, model in models.items()}
    sources |= {str(path): path.read_text("utf-8") for path in PROJECT.rglob("macros/**/*.sql")}
    for name, code in sources.items():
        assert not re.search(CLOCKS, re.sub(r"{#.*?#}", "", code, flags=re.S), re.I), name


def test_postgresql_dialect_stays_in_the_macros(models: dict[str, Any]) -> None:
    """What other engines write otherwise."""
    dialect = (
        r"::|at time zone|percentile_cont|distinct on|generate_series|filter \(|\bilike\b|\bntile\b"
    )
    for name, model in models.items():
        assert not re.search(dialect, model["raw_code"], re.I), name


def test_joins_windows_and_groups_start_with_the_integration(models: dict[str, Any]) -> None:
    for name, model in models.items():
        code = model["raw_code"]
        for keys in re.findall(r"(?:partition by|group by)\s+([\w.]+)", code):
            assert keys.split(".")[-1] == "integration", (name, keys)
        for on in re.findall(r"\bon\s+([\w.]+)\s*=", code):
            same_for_all = on in ("integrations.timezone", "log.segment")  # zones, the catalogue
            assert on.endswith(".integration") or same_for_all, (name, on)


def test_the_log_of_changes_is_never_rebuilt(models: dict[str, Any]) -> None:
    log = models["segment_changes"]["config"]
    assert log["materialized"] == "table_in_place"
    assert log["meta"]["rewrites"] == "connected"
    assert log["meta"]["keeps_history"] is True


def test_every_segment_of_the_catalogue_has_its_rule_in_the_model_of_its_family(
    models: dict[str, Any],
) -> None:
    with (PROJECT / "seeds" / "segment_catalogue.csv").open(encoding="utf-8") as file:
        catalogue = list(csv.DictReader(file))
    keys = [row["segment"] for row in catalogue]
    assert len(keys) == len(set(keys))
    families = {row["family"] for row in catalogue}
    membership = models["int_segment_membership"]
    assert {f"int_segments_{family}" for family in families} == {
        name
        for parent in membership["depends_on"]["nodes"]
        if (name := parent.rpartition(".")[2]).startswith("int_segments_")
    }
    for family in families:
        code = models[f"int_segments_{family}"]["raw_code"]
        rules = re.findall(r"'(\w+)' as segment\b", code)
        if family == "rfm":
            rules = re.findall(r"(?:then|else) '(\w+)'", models["int_rfm_scores"]["raw_code"])
        listed = [row["segment"] for row in catalogue if row["family"] == family]
        assert sorted(rules) == sorted(listed), family


def test_the_catalogue_names_the_thresholds_of_its_words(models: dict[str, Any]) -> None:
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    limits = models["int_list_statistics"]["columns"]
    with (PROJECT / "seeds" / "segment_catalogue.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            named = row["thresholds"].split()
            assert set(re.findall(r"var\('(\w+)'\)", row["description"])) == set(named), row
            assert variables.keys() >= set(named), row
            assert limits.keys() >= set(row["list_thresholds"].split()), row
            assert row["name"], row


def test_no_packages_and_no_usage_statistics() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))
    assert project["flags"]["send_anonymous_usage_stats"] is False
    assert not list(Path(PROJECT).glob("packages.y*ml")) + list(Path(PROJECT).glob("depend*"))


def test_models_with_rules_have_unit_tests(manifest: dict[str, Any]) -> None:
    tested = {unit["model"] for unit in manifest["unit_tests"].values()}
    assert tested >= {
        "stg_cscart__orders",
        "int_shop_settings",
        "int_orders",
        "int_account_identities",
        "int_accounts",
        "int_consents",
        "int_subscribers",
        "int_purchases",
        "int_customer_facts",
        "int_checkouts",
        "int_rfm_scores",
        "int_list_statistics",
        "int_segment_inputs",
        "int_segments_apifon",
        "int_segments_purchases",
        "int_segments_value",
        "int_segments_timing",
        "int_segments_habits",
        "int_segments_onsite",
        "int_segments_rfm",
        "int_segments_categories",
        "segment_changes",
        "list_metrics",
        "list_metrics_daily",
        "cohort_retention",
        "cohort_retention_by_account",
        "segment_migration",
        "int_fulfilment_metrics",
        "order_reconciliation",
        "int_onsite_settings",
        "int_onsite_events",
        "int_onsite_purchases",
        "int_onsite_sessions",
        "int_onsite_people",
        "int_onsite_product_steps",
        "onsite_daily",
        "product_funnel",
    }
