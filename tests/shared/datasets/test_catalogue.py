"""What a service says about its data: collections, schemas with labels, DCAT, and an API description that old tools read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_30_VALIDATOR

from shared.caller import Caller
from shared.datasets.dcat import CONTEXT, Described, Shared, dcat
from shared.datasets.declaration import Dataset, Field
from shared.datasets.openapi import as_30
from shared.datasets.view import view
from shared.vocabulary import DataGrade, Personal
from tests.shared.datasets.conftest import Watch
from tests.shared.datasets.watch import REPORTS, name, reports

EVERYTHING = {"scope": "watch:read", "clearance": {"grade": "important", "personal": "sensitive"}}


async def test_a_collection_bears_the_labels_of_the_law(watch: Watch) -> None:
    described = (await watch.get("/collections/watch.orders", claims=EVERYTHING)).json()
    assert (described["grade"], described["personal"], described["sharing"]) == ("general", "none", "none")
    assert described["itemType"] == "feature"
    assert described["names"]["owner"] == {"zh": "Watch office（中文）", "en": "Watch office"}


async def test_titles_come_in_the_readers_language(watch: Watch) -> None:
    for language, title in (("zh-CN,zh;q=0.9", "Reports（中文）"), ("en", "Reports")):
        answer = await watch.get("/collections/watch.reports", headers={"Accept-Language": language})
        assert answer.json()["title"] == title


async def test_the_schema_says_type_unit_meaning_role_and_labels(watch: Watch) -> None:
    answer = await watch.get("/collections/watch.reports/schema", claims=EVERYTHING)
    assert answer.headers["content-type"] == "application/schema+json"
    schema = answer.json()
    assert schema["properties"]["height"] == {
        "type": "number",
        "title": "Height of the water",
        "x-title": {"zh": "Height of the water（中文）", "en": "Height of the water"},
        "x-ogc-propertySeq": 3,
        "x-ogc-unit": "m",
        "x-ogc-unitLang": "UCUM",
        "x-ogc-definition": "https://example.org/height",
        "x-grade": "general",
        "x-personal": "none",
        "x-sharing": "conditional",
    }
    assert schema["properties"]["seen_at"]["x-ogc-role"] == "primary-instant"
    assert schema["properties"]["seen_at"]["format"] == "date-time"
    assert schema["properties"]["area"]["x-role"] == "area"
    assert schema["properties"]["geometry"]["x-ogc-role"] == "primary-geometry"
    assert schema["properties"]["keeper"]["x-personal"] == "sensitive"
    assert schema["properties"]["kind"]["enum"] == ["flood", "fire", "crowd"]
    assert schema["required"] == ["seen_at", "area"]


async def test_every_row_has_the_properties_that_the_schema_names(watch: Watch) -> None:
    for collection in ("watch.reports", "watch.outlines", "watch.orders"):
        schema = (await watch.get(f"/collections/{collection}/schema", claims=EVERYTHING)).json()
        feature = (await watch.get(f"/collections/{collection}/schema/feature", claims=EVERYTHING)).json()
        rows = (await watch.get(f"/collections/{collection}/items", claims=EVERYTHING)).json()["features"]
        assert rows
        for row in rows:
            assert row["properties"].keys() == schema["properties"].keys() - {"geometry"} == feature["properties"]["properties"]["properties"].keys()


async def test_the_type_of_a_field_is_one_word_for_tools_that_read_no_more(watch: Watch) -> None:
    feature = (await watch.get("/collections/watch.reports/schema/feature")).json()
    links = (await watch.get("/collections/watch.reports")).json()["links"]
    assert [link["href"] for link in links if link["rel"] == "describedBy"] == ["http://test/collections/watch.reports/schema/feature"]
    assert all(isinstance(part["type"], str) for part in feature["properties"]["properties"]["properties"].values())


async def test_capabilities_follow_the_contract(watch: Watch) -> None:
    told = (await watch.get("/capabilities", claims=EVERYTHING)).json()
    assert (told["service"], told["city"], told["contract"]) == ("watch", "430300", "1")
    assert told["datasets"][0].keys() == {"id", "title", "version", "as_of"}
    assert told["events"] == {"publishes": [], "consumes": []}
    assert told["scopes"] == ["watch:read", "watch:write"]


async def test_the_catalogue_is_dcat(watch: Watch) -> None:
    answer = await watch.get("/catalog", claims=EVERYTHING)
    assert answer.headers["content-type"] == "application/ld+json"
    told = answer.json()
    assert told["@type"] == "dcat:Catalog"
    dataset = told["dcat:dataset"][0]
    assert dataset["dct:identifier"] == "watch.reports"
    assert dataset["dct:title"][0] == {"@language": "zh", "@value": "Reports（中文）"}
    assert {part["dcat:mediaType"]["@id"].partition("media-types/")[2] for part in dataset["dcat:distribution"]} == {
        "application/geo+json",
        "text/csv",
        "application/vnd.apache.arrow.stream",
    }
    assert dataset["dct:conformsTo"] == [{"@id": "http://test/collections/watch.reports/schema"}]
    assert (dataset["ld:grade"], dataset["ld:personal"], dataset["ld:sharing"]) == ("general", "none", "conditional")


def test_dcat_says_licence_frequency_standards_lineage_and_origin_by_address() -> None:
    declared = replace(REPORTS, licence="CC0-1.0", freshness=timedelta(hours=1), standards=("GB/T 2260",), derived_from=("watch.outlines",), area=None)
    seen = view(declared, Caller("t", "430300/watch", frozenset({"hub:query"}), ("*",)))
    scores = {
        "computed_at": "2026-11-22T08:00:00Z",
        "completeness": 0.5,
        "validity": 1.0,
        "timeliness": None,
        "period": {"start": "2026-11-01", "end": "2026-11-22T08:00:00Z"},
    }
    about = Described({"watch.reports": "7"}, {"watch.reports": scores}, ("4303",), "430300", [Shared(seen, "430100/hub", "430100", "abc")])
    catalogue = dcat("watch", name("Watch"), [seen], "http://test", about)
    told, shared = catalogue["dcat:dataset"]
    assert told["dct:license"] == {"@id": "https://spdx.org/licenses/CC0-1.0"}
    assert told["dct:accrualPeriodicity"]["@id"].endswith("/frequency/HOURLY")
    assert told["dct:conformsTo"][1] == {"@type": "dct:Standard", "dct:identifier": "GB/T 2260"}
    assert told["prov:wasDerivedFrom"] == [{"@id": "http://test/collections/watch.outlines"}]
    assert told["dct:temporal"] == {
        "@type": "dct:PeriodOfTime",
        "dcat:startDate": {"@type": "xsd:date", "@value": "2026-11-01"},
        "dcat:endDate": {"@type": "xsd:dateTime", "@value": "2026-11-22T08:00:00Z"},
    }
    assert (shared["prov:wasAttributedTo"]["dct:identifier"], shared["ld:agreement"]) == ("430100", "abc")
    assert shared["@id"] == "http://test/collections/watch.reports?sources=430100%2Fhub"
    assert {part["dcat:accessURL"]["@id"].partition("&")[2] for part in shared["dcat:distribution"]} == {"sources=430100%2Fhub"}
    assert (told["dct:spatial"], {part["dct:license"]["@id"] for part in told["dcat:distribution"]}) == (
        [{"@type": "dct:Location", "dct:identifier": "4303"}],
        {"https://spdx.org/licenses/CC0-1.0"},
    )
    unbound = dcat("watch", name("Watch"), [seen], "http://test", replace(about, areas=("*",), shared=()))
    assert unbound["dcat:dataset"][0]["dct:spatial"] == [{"@type": "dct:Location", "dct:identifier": "430300"}], "the city that it serves"
    assert catalogue["dcat:service"]["dcat:servesDataset"] == [{"@id": told["@id"]}, {"@id": shared["@id"]}]
    assert shared.keys().isdisjoint({"prov:wasDerivedFrom", "dct:spatial", "dct:temporal", "dcat:version"}), "of ours these are told, of a peer's not known"
    assert [(part["dqv:isMeasurementOf"]["@id"], part["dqv:value"]["@value"]) for part in told["dqv:hasQualityMeasurement"]] == [
        ("urn:liandong:metrics:completeness", 0.5),
        ("urn:liandong:metrics:validity", 1.0),
    ]
    assert not undeclared(catalogue), "every term belongs to a vocabulary that the context names"


def undeclared(node: Any) -> set[str]:
    """Prefixed names whose prefix the context does not explain."""
    if isinstance(node, list):
        return set().union(*map(undeclared, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    names = {key for key in node if not key.startswith("@")} | ({node["@type"]} if "@type" in node else set())
    return {found for found in names if found.partition(":")[0] not in CONTEXT} | undeclared([part for key, part in node.items() if key != "@context"])


async def test_an_unchanged_description_is_304(watch: Watch) -> None:
    first = await watch.get("/collections")
    assert (await watch.get("/collections", headers={"If-None-Match": first.headers["etag"]})).status_code == 304


@pytest.mark.parametrize(
    "path", ["/", "/conformance", "/api", "/capabilities", "/catalog", "/collections", "/collections/watch.reports", "/collections/watch.reports/schema"]
)
async def test_a_page_takes_no_parameter_that_it_does_not_know(watch: Watch, path: str) -> None:
    assert (await watch.get(path, f="json")).status_code == 200
    assert (await watch.get(path, f="html")).status_code == 406
    assert (await watch.get(path, colour="red")).status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "[::1]:80", "a b", "ünï", "x" * 300, "", "host:port"])
async def test_no_host_header_is_a_fault(watch: Watch, host: str) -> None:
    answer = await watch.client.get("/", headers=[(b"Host", host.encode())])
    assert answer.status_code in (200, 400)


async def test_the_api_is_described_in_the_words_of_openapi_30(watch: Watch) -> None:
    answer = await watch.client.get("/api")
    assert answer.headers["content-type"] == "application/vnd.oai.openapi+json;version=3.0"
    document = answer.json()
    assert document["openapi"] == "3.0.3"
    assert {"/collections/{collection}/items", "/collections/{collection}/aggregate"} <= document["paths"].keys()
    OPENAPI_30_VALIDATOR.validate(document)


def test_nullable_constant_and_exclusive_are_said_the_old_way() -> None:
    schema = {
        "properties": {
            "a": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "A"},
            "b": {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]},
            "c": {"const": 1},
            "d": {"type": "number", "exclusiveMinimum": 0},
            "e": {"type": "array", "prefixItems": [{"type": "string"}]},
            "f": {"type": "string", "examples": ["x", "y"]},
        }
    }
    told = as_30({"openapi": "3.1.0", "paths": {}, "components": {"schemas": {"S": schema}}})["components"]["schemas"]["S"]["properties"]
    assert told == {
        "a": {"title": "A", "type": "string", "nullable": True},
        "b": {"allOf": [{"$ref": "#/x"}], "nullable": True},
        "c": {"enum": [1]},
        "d": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        "e": {"type": "array", "items": {}},
        "f": {"type": "string", "example": "x"},
    }


def test_core_data_cannot_be_declared_at_all() -> None:
    with pytest.raises(ValueError, match="core data"):
        Dataset(
            id="watch.core",
            title=name("Core"),
            description=name("Core"),
            owner=name("Core"),
            table=reports,
            fields=(Field(name="kind", type="string", title=name("Kind"), grade=DataGrade.CORE),),
            area=None,
        )


def test_a_key_is_never_more_secret_than_what_else_a_row_shows() -> None:
    fields = (Field(name="id", type="string", title=name("Id"), personal=Personal.PERSONAL), Field(name="kind", type="string", title=name("Kind")))
    with pytest.raises(ValueError, match="part of every row's id"):
        Dataset(id="watch.people", title=name("People"), description=name("People"), owner=name("People"), table=reports, fields=fields, area=None)
