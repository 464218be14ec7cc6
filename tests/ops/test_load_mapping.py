"""Mapping files: the shipped ones are sound and say where their originals are; faulty ones are told what is wrong, and where."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, get_args

import pytest

from ops.load.files import chunks_of
from ops.load.mapping import SHIPPED, CannotMap, FileMapping, read_mapping, shipped
from ops.load.preview import preview
from ops.load.rows import batch_of
from ops.services import declared
from services.fire.calls.domain import KINDS, UNIT_KINDS
from services.food.inspections.schemas import InspectionKind
from tests.ops.load_mappings import mapping

GOOD = """
title = { zh = "一", en = "one" }
source = "somebody"
licence = "CC0"
target = { service = "food", path = "/premises" }
columns = { a = "A" }
"""


@pytest.mark.parametrize("made", shipped(), ids=lambda made: made.name)
def test_every_shipped_mapping_goes_to_a_route_that_exists_and_names_its_original(made: FileMapping):
    service = declared(made.target.service)
    routes = {(method, route.path) for router in service.routers for route in router.routes for method in getattr(route, "methods", ())}  # type: ignore[attr-defined]
    assert (made.target.method, made.target.path) in routes
    if made.declare:
        assert (made.declare.method, made.declare.path) in routes
    assert made.source
    assert made.licence
    assert made.notes


def test_there_is_a_mapping_for_every_file_of_the_main_job():
    assert {path.stem for path in SHIPPED.glob("*.toml")} >= {
        "china-areas",
        "sf-neighbourhoods",
        "sf-fire-calls",
        "sf-food-premises",
        "sf-food-inspections",
        "sf-food-findings",
        "beijing-stations",
        "beijing-air",
    }


def test_tables_lead_to_words_that_the_services_know():
    assert set(read_mapping("sf-fire-calls").tables["kinds"].values()) <= set(KINDS)
    assert set(read_mapping("sf-fire-calls").tables["units"].values()) <= set(UNIT_KINDS)
    kinds = read_mapping("sf-food-inspections").tables["kinds"]
    assert set(kinds.values()) <= set(get_args(InspectionKind))
    assert len(set(kinds.values())) == len(kinds), "the number of an inspection tells types apart by these words"


def test_neighbourhoods_are_numbered_in_the_order_of_their_names():
    codes = read_mapping("sf-neighbourhoods").tables["codes"]
    assert [code for _, code in sorted(codes.items())] == [f"us-06075-{number:02}" for number in range(1, 38)]


def test_every_beijing_station_lies_in_a_district_of_beijing(shared_data: Path):
    with (shared_data / "admin" / "cn_areas_2023.csv").open(encoding="utf-8") as file:
        districts = {row["code"] for row in csv.DictReader(file) if row["cityCode"] == "1101"}
    made = read_mapping("beijing-stations")
    batch = batch_of(next(chunks_of(shared_data / "env" / "beijing_stations.csv", made)), made)
    assert (len(batch), batch.rejected) == (35, [])
    assert set(batch.table["area"].to_pylist()) <= districts
    assert len(set(batch.table["code"].to_pylist())) == 35
    assert {"Dongsi", "Dingling", "yizhuang_aq"} <= set(batch.table["code"].to_pylist())


def test_the_publishers_files_map_without_a_fault(shared_data: Path):
    files = {
        "sf-neighbourhoods": ["admin/san_francisco_planning_neighborhoods.geojson"],
        "china-areas": ["admin/cn_provinces_2023.csv", "admin/cn_cities_2023.csv", "admin/cn_areas_2023.csv"],
        "sf-fire-calls": ["fire/sf_fire_calls_dev_to_20180209.csv"],
        "sf-food-premises": ["food/sf_businesses.csv"],
        "sf-food-inspections": ["food/sf_inspections_dev_2014_2016.csv"],
        "sf-food-findings": ["food/sf_violations_dev_2014_2016.csv"],
        "beijing-air": ["env/beijing_dev/PRSA_Dongsi_20130301-20160229.csv.gz"],
        "beijing-weather": ["env/beijing_dev/PRSA_Dongsi_20130301-20160229.csv.gz"],
    }
    for name, paths in files.items():
        for found in preview([shared_data / path for path in paths], read_mapping(name)):
            assert (found.tally.counts["rejected"], found.ready > 0) == (0, True), name


def test_municipalities_bear_the_names_that_people_use(shared_data: Path):
    made = read_mapping("china-areas")
    rows = batch_of(next(chunks_of(shared_data / "admin" / "cn_cities_2023.csv", made)), made).table.to_pylist()
    names = {row["code"]: row["name_zh"] for row in rows}
    assert (names["1101"], names["4303"]) == ("北京市", "湘潭市")


def test_a_mapping_of_ones_own_is_read_by_its_path(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    found = read_mapping(str(path))
    assert (found.name, found.target.batch, len(found.digest)) == ("mine", 5000, 64)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("source =", "source = ["), "not TOML"),
        (('source = "somebody"', ""), "source: Field required"),
        (('{ a = "A" }', '{ a = "A" }\nextra = 1'), "extra: Extra inputs"),
        (('{ a = "A" }', "{ a = { from = 'A', template = '{B}' } }"), "give one of from, template, constant"),
        (('{ a = "A" }', "{ a = { from = 'A', time = '%Y' } }"), "needs %Y, %m and %d"),
        (('{ a = "A" }', "{ a = { from = 'A', time = 'iso' } }"), r"times need a \[clock\]"),
        (('{ a = "A" }', "{ a = { from = 'A', values = 'kinds' } }"), "no table 'kinds'"),
        (('{ a = "A" }', "{ a = { template = '{A!r}' } }"), "without format"),
        (('{ a = "A" }', "{ a = { from = 'A', extract = '(' } }"), "extract"),
        (('{ a = "A" }', "{ a = { from = 'A', extract = '(?P<x>x)' } }"), "needs one group"),
        (('{ a = "A" }', "{ a = { from = 'A', otherwise = 'x' } }"), "otherwise needs values"),
        (('{ a = "A" }', "{ lon = 'X', lat = 'Y' }"), "need crs"),
        (('{ a = "A" }', "{ lon = 'X', lat = 'Y', crs = { constant = 'nad27' } }"), "one of wgs84, cgcs2000, gcj02, bd09"),
        (('{ a = "A" }', "{ a = 'A' }\nclock = { zone = 'Mars/Olympus' }"), "no zone 'Mars/Olympus'"),
        (('{ a = "A" }', "{ a = 'A' }\nfile = { encoding = 'klingon' }"), "no encoding 'klingon'"),
        (('{ a = "A" }', "{ a = 'A' }\ndeclare = { path = '/x', distinct = ['b'] }"), "no column 'b'"),
        (("/premises", "http://elsewhere"), "target.path"),
        (('path = "/premises"', 'path = "/premises", batch = 60000'), "target.batch"),
    ],
)
def test_a_faulty_mapping_is_told_what_is_wrong(tmp_path: Path, change: tuple[str, str], says: str):
    path = tmp_path / "mine.toml"
    assert change[0] in GOOD
    path.write_text(GOOD.replace(*change), encoding="utf-8")
    with pytest.raises(CannotMap, match=says):
        read_mapping(str(path))


def test_a_name_that_does_not_exist_is_answered_with_the_closest(tmp_path: Path):
    with pytest.raises(CannotMap, match="Did you mean 'beijing-air'"):
        read_mapping("bejing-air")
    with pytest.raises(CannotMap, match="No such file"):
        read_mapping(str(tmp_path / "none.toml"))


def test_a_template_cannot_use_a_column_that_is_made_later(tmp_path: Path):
    made: Any = mapping({"number": {"template": "{=kind}"}, "kind": "k"})
    path = tmp_path / "x.csv"
    path.write_text("k\nx\n", encoding="utf-8")
    with pytest.raises(CannotMap, match="Put kind further up"):
        batch_of(next(chunks_of(path, made)), made)
