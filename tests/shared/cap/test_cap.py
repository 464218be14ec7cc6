"""CAP documents: what is built is valid and reads back as it was; what is hostile is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from shared.cap import Alert, Area, BadCap, Circle, Info, Parameter, Reference, Resource, build, parse, problems_of
from shared.cap.areas import codes_of, geocodes, outer_rings
from shared.cap.feeds import ATOM, Entry, atom
from shared.cap.identifiers import BEIJING, Identifier, read_identifier
from shared.cap.levels import level_of, level_parameter
from shared.vocabulary import WarningLevel

SENT = datetime(2026, 11, 22, 16, 5, 9, tzinfo=BEIJING)
RING = ((112.94, 27.83), (112.96, 27.83), (112.96, 27.85), (112.94, 27.83))
INFO = Info(
    language="zh-CN",
    categories=("CBRNE", "Health"),
    event="氯气泄漏",
    response_types=("Shelter", "Avoid"),
    urgency="Immediate",
    severity="Severe",
    certainty="Observed",
    event_codes=(Parameter("GB/T 35561", "11B00"),),
    effective=SENT,
    expires=SENT + timedelta(hours=2),
    sender_name="湘潭市人民政府",
    headline="氯气泄漏橙色预警",
    description="一行\n第二行 < & >",
    parameters=(level_parameter(WarningLevel.ORANGE),),
    resources=(Resource(description="map", mime_type="image/png", size=10, uri="https://example.org/map.png"),),
    areas=(
        Area(
            description="岳塘区",
            polygons=(RING,),
            circles=(Circle((112.95, 27.84), 1.5),),
            geocodes=geocodes(["430304", "430304003"]),
            altitude=0.0,
            ceiling=1e3,
        ),
    ),
)
ALERT = Alert(
    identifier="43030041A00100_20261122160509_1",
    sender="yjj.xiangtan.gov.cn",
    sent=SENT,
    status="Actual",
    kind="Update",
    scope="Public",
    codes=("liandong:1",),
    references=(Reference("yjj.xiangtan.gov.cn", "43030041A00100_20261122150509", SENT - timedelta(hours=1)),),
    incidents=("incident one", "two"),
    infos=(INFO, replace(INFO, language="en", event="Chlorine release", headline="Orange warning")),
)


@pytest.fixture(scope="module")
def schema(shared_data: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(shared_data / "cap/xsd/CAP-v1.2.xsd"))


def test_what_is_built_is_valid_and_always_the_same(schema: etree.XMLSchema) -> None:
    content = build(ALERT)
    schema.assertValid(etree.fromstring(content))
    assert content == build(ALERT)
    assert parse(content) == ALERT
    assert parse(content).original == content
    assert b"27.83,112.94 27.83,112.96" in content and b"Z</" not in content


def test_the_offset_of_utc_is_written_as_the_standard_wants() -> None:
    content = build(replace(ALERT, sent=datetime(2026, 11, 22, tzinfo=UTC)))
    assert b"<sent>2026-11-22T00:00:00-00:00</sent>" in content
    odd = build(replace(ALERT, sent=datetime.fromisoformat("2026-11-22T00:00:00-03:30")))
    assert b"<sent>2026-11-22T00:00:00-03:30</sent>" in odd


_text = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_characters="\x7f\x85"), min_size=1, max_size=40).map(
    lambda text: f"a{text.strip()}b"
)
_degrees = st.floats(-80, 80, allow_nan=False).map(lambda value: round(value, 6) + 0.0)


@st.composite
def _alerts(draw: st.DrawFn) -> Alert:
    points = draw(st.lists(st.tuples(_degrees, _degrees), min_size=3, max_size=6))
    sent = draw(st.integers(946684800, 4102444800).map(lambda seconds: datetime.fromtimestamp(seconds, BEIJING)))
    area = Area(description=draw(_text), polygons=((*points, points[0]),), geocodes=(Parameter("x", draw(_text)),))
    info = replace(INFO, event=draw(_text), headline=draw(st.none() | _text), effective=None, expires=sent + timedelta(minutes=1), areas=(area,))
    return replace(ALERT, sent=sent, note=draw(st.none() | _text), infos=(info,))


@settings(max_examples=60, deadline=None)
@given(_alerts())
def test_any_alert_reads_back_as_it_was(alert: Alert) -> None:
    assert parse(build(alert)) == alert


def _documents(shared_data: Path) -> list[Path]:
    return sorted(path for folder in ("real", "spec_examples") for path in (shared_data / "cap" / folder).iterdir())


def test_what_issuers_really_sent_is_read(shared_data: Path, schema: etree.XMLSchema) -> None:
    documents = _documents(shared_data)
    assert len(documents) == 27
    for path in documents:
        alert = parse(path.read_bytes())
        assert alert.original == path.read_bytes()
        if not problems_of(alert):
            again = build(alert)
            schema.assertValid(etree.fromstring(again))
            assert parse(again) == alert, path.name


def test_real_documents_keep_their_meaning(shared_data: Path) -> None:
    canada = parse((shared_data / "cap/real/g-canada.cap").read_bytes())
    assert [info.language for info in canada.infos] == ["en-CA", "fr-CA"]
    assert [reference.identifier for reference in canada.references] == ["2.49.0.1.124.a3f342a4.2012", "2.49.0.1.124.60f31a3a.2012"]
    fire = parse((shared_data / "cap/real/g-australia.cap").read_bytes())
    assert fire.infos[0].areas[0].circles == (Circle((147.0598, -35.3888), 25.0),)
    assert level_of(fire) is WarningLevel.BLUE
    old = parse((shared_data / "cap/spec_examples/v1dot0_A3.xml").read_bytes())
    assert (old.version, old.infos[0].certainty, old.deviations) == ("1.0", "Likely", ("info[0].certainty: Very Likely",))
    assert Parameter("Magnitude", "3.4 Ml") in old.infos[0].parameters
    late = parse((shared_data / "cap/real/us-google-PAAQ-4-mg5a94.xml").read_bytes())
    assert [fault.where for fault in problems_of(late)] == ["info[0].expires"]


def _changed(old: str, new: str) -> bytes:
    content = build(ALERT).decode()
    assert old in content
    return content.replace(old, new).encode()


def test_what_is_forgiven_is_named() -> None:
    lax = parse(_changed("<sent>2026-11-22T16:05:09+08:00", "<sent>2026-11-22T08:05:09.000Z"))
    assert (lax.sent, lax.deviations) == (SENT, ("alert.sent: 2026-11-22T08:05:09.000Z",))
    colour = parse(_changed("<severity>Severe", "<severity>Orange"))
    assert (colour.infos[0].severity, len(colour.deviations)) == ("Severe", 2)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("<sender>yjj.xiangtan.gov.cn</sender>", "", "alert.sender"),
        ("<status>Actual", "<status>Real", "alert.status"),
        ("+08:00</sent>", "</sent>", "alert.sent"),
        ("<sent>2026-", "<sent>0001-", "alert.sent"),
        ("27.83,112.94", "27.83", "info[0].area[0].polygon"),
        ("27.83,112.94", "nan,112.94", "info[0].area[0].polygon"),
        ("emergency:cap:1.2", "emergency:cap:2.0", "document"),
        ("</alert>", "", "document"),
    ],
)
def test_a_broken_document_is_refused_where_it_is_broken(old: str, new: str, where: str) -> None:
    with pytest.raises(BadCap) as refused:
        parse(_changed(old, new))
    assert refused.value.where == where


def _bomb(declaration: str, encoding: str = "UTF-8") -> bytes:
    body = build(ALERT).decode().partition("?>")[2]
    return f'<?xml version="1.0" encoding="{encoding}"?>{declaration}{body}'.encode(encoding)


@pytest.mark.parametrize(
    "content",
    [
        _bomb('<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        _bomb('<!DOCTYPE alert [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'),
        _bomb('<!DOCTYPE alert SYSTEM "http://127.0.0.1:9/x.dtd">'),
        _bomb("<!DOCTYPE alert>", "UTF-16"),
        b"<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'>" + b"<a>" * 200 + b"</a>" * 200 + b"</alert>",
        b"<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'>" + b"<a/>" * 60_000 + b"</alert>",
        b" " * (1024 * 1024 + 1),
        b"",
        b"\x00",
        b"&x;",
    ],
)
def test_hostile_documents_are_refused(content: bytes) -> None:
    with pytest.raises(BadCap) as refused:
        parse(content)
    assert refused.value.where == "document"


@pytest.mark.parametrize(
    ("alert", "where"),
    [
        (replace(ALERT, references=()), "alert.references"),
        (replace(ALERT, identifier="a b"), "alert.identifier"),
        (replace(ALERT, scope="Restricted"), "alert.restriction"),
        (replace(ALERT, scope="Private"), "alert.addresses"),
        (replace(ALERT, infos=(replace(INFO, expires=SENT),)), "info[0].expires"),
        (replace(ALERT, infos=(replace(INFO, categories=()),)), "info[0].category"),
        (replace(ALERT, infos=(replace(INFO, areas=(Area(description="x", polygons=(RING[:3],)),)),)), "info[0].area[0].polygon[0]"),
        (replace(ALERT, infos=(replace(INFO, areas=(Area(description="x", polygons=(((0, 91), *RING[1:3], (0, 91)),)),)),)), "info[0].area[0].polygon[0]"),
        (replace(ALERT, infos=(replace(INFO, areas=(Area(description="x", ceiling=3.0),)),)), "info[0].area[0].ceiling"),
    ],
)
def test_an_alert_that_breaks_a_rule_is_named_and_never_built(alert: Alert, where: str) -> None:
    assert [fault.where for fault in problems_of(alert)] == [where]
    with pytest.raises(BadCap):
        build(alert)


def test_what_xml_cannot_hold_is_refused() -> None:
    with pytest.raises(BadCap):
        build(replace(ALERT, note="\x00"))


def test_national_identifiers_with_and_without_a_number() -> None:
    plain = read_identifier("43030041A00100_20261122160509")
    assert plain == Identifier("430300", "41A", "001", "00", SENT)
    numbered = read_identifier("43030041A00100_20261122160509_17")
    assert numbered == replace(plain, number=17) and str(numbered) == "43030041A00100_20261122160509_17"
    assert read_identifier("43030041A00100_20261322160509") is None
    assert read_identifier("2.49.0.1.124.6bddbc91.2012") is None


def test_area_codes_name_their_standard_and_holes_are_warned_too() -> None:
    codes = ("43", "4303", "430304", "430304003")
    assert [(pair.name, pair.value) for pair in geocodes(codes)][1:] == [("GB/T 2260", "430300"), ("GB/T 2260", "430304"), ("GB/T 10114", "430304003")]
    assert codes_of((*geocodes(codes), Parameter("SAME", "006109"))) == codes
    ring = [list(point) for point in RING]
    assert outer_rings({"type": "MultiPolygon", "coordinates": [[ring, ring], [ring]]}) == (RING, RING)


def test_a_feed_is_what_rfc_4287_asks_for() -> None:
    entry = Entry(id="urn:x:1", title="橙色 & 预警", updated=SENT, published=SENT, link="http://h/1.xml", summary="…", author="市政府", categories=("Actual",))
    root = etree.fromstring(atom(name="urn:x", title="预警", updated=SENT, link="http://h/feed", author="hub", entries=[entry]))
    of = {"a": ATOM}
    assert [root.findtext(f"a:{name}", namespaces=of) for name in ("id", "title", "updated")] == ["urn:x", "预警", "2026-11-22T16:05:09+08:00"]
    assert root.findtext("a:entry/a:title", namespaces=of) == "橙色 & 预警"
    assert root.find("a:entry/a:link", of).attrib == {"rel": "alternate", "type": "application/cap+xml", "href": "http://h/1.xml"}
