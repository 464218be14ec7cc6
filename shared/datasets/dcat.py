"""The catalogue as DCAT 3 (W3C Recommendation, 2024-08-22) in JSON-LD, with quality by DQV and lineage by PROV-O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from shared.datasets.declaration import Dataset
from shared.datasets.formats import MEDIA_TYPES
from shared.datasets.view import View
from shared.vocabulary import Text

CONTEXT = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "dqv": "http://www.w3.org/ns/dqv#",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "ldqd": "http://www.w3.org/2016/05/ldqd#",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "ld": "urn:liandong:terms:",
}
"""`ld` are this system's own terms, for what the law wants known and no vocabulary names: grade, personal, sharing, legal basis, promised freshness."""
AUTHORITY = "http://publications.europa.eu/resource/authority"
LANGUAGES = "http://id.loc.gov/vocabulary/iso639-1"
_ACCESS = {"unconditional": "PUBLIC", "conditional": "RESTRICTED", "none": "NON_PUBLIC"}
_FREQUENCIES = (
    (timedelta(minutes=5), "CONT"),
    (timedelta(hours=2), "HOURLY"),
    (timedelta(days=1), "DAILY"),
    (timedelta(days=7), "WEEKLY"),
    (timedelta(days=31), "MONTHLY"),
    (timedelta(days=366), "ANNUAL"),
)
_DIMENSIONS = {"completeness": "ldqd:completeness", "validity": "ldqd:semanticAccuracy", "timeliness": "ldqd:timeliness"}


@dataclass(frozen=True, slots=True)
class Shared:
    """A dataset of a peer city, as far as it is shared with us and the caller may see it."""

    view: View
    source: str
    """By which name it is asked: `430100/hub`."""
    origin: str
    """The city that it comes from."""
    agreement: str | None
    """The agreement under which it comes."""


@dataclass(frozen=True, slots=True)
class Described:
    """What is known of datasets beyond their declarations, as far as the caller may know it."""

    versions: Mapping[str, str] = field(default_factory=dict)
    qualities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    areas: Sequence[str] = ()
    """Area code prefixes that the data are about; `*` says nothing,"""
    city: str | None = None
    """and then it is the city that the service serves."""
    shared: Sequence[Shared] = ()
    """What peer cities share: datasets of their own, since their rows are given only to whoever names the source."""


def dcat(name: str, title: Text, seen: Sequence[View], base: str, about: Described) -> dict[str, Any]:
    """The catalogue of what a caller sees."""
    datasets = [_dataset(view.dataset, base, about) for view in seen] + [_shared(shared, base) for shared in about.shared]
    return {
        "@context": CONTEXT,
        "@id": f"{base}/catalog",
        "@type": "dcat:Catalog",
        "dct:title": tagged(title),
        "dct:language": [{"@id": f"{LANGUAGES}/{code}"} for code in ("zh", "en")],
        "dct:conformsTo": {"@id": "https://www.w3.org/TR/vocab-dcat-3/"},
        "dcat:service": {
            "@id": f"{base}/",
            "@type": "dcat:DataService",
            "dct:title": name,
            "dct:conformsTo": {"@id": "http://www.opengis.net/spec/ogcapi-features-1/1.0"},
            "dcat:endpointURL": {"@id": f"{base}/"},
            "dcat:endpointDescription": {"@id": f"{base}/api"},
            "dcat:servesDataset": [{"@id": part["@id"]} for part in datasets],
        },
        "dcat:dataset": datasets,
    }


def _dataset(dataset: Dataset, base: str, about: Described) -> dict[str, Any]:
    here = f"{base}/collections/{quote(dataset.id)}"
    publisher = {"@type": "foaf:Organization", "foaf:name": tagged(dataset.owner)}
    placed = dataset.area is not None or dataset.geometry is not None
    places = [area for area in about.areas if area != "*"] or ([about.city] if about.city else []) if placed else []
    described = {
        "@id": here,
        "@type": "dcat:Dataset",
        "dct:identifier": dataset.id,
        "dct:title": tagged(dataset.title),
        "dct:description": tagged(dataset.description),
        "dct:publisher": publisher,
        "dct:rightsHolder": {"@type": "foaf:Organization", "foaf:name": dataset.authority} if dataset.authority else None,
        "dct:license": _licence(dataset.licence),
        "dct:accessRights": {"@id": f"{AUTHORITY}/access-right/{_ACCESS[dataset.sharing.value]}"},
        "dct:conformsTo": [{"@id": f"{here}/schema"}, *(_standard(standard) for standard in dataset.standards)],
        "dct:accrualPeriodicity": _frequency(dataset),
        "dct:temporal": _period((about.qualities.get(dataset.id) or {}).get("period")),
        "dct:spatial": [{"@type": "dct:Location", "dct:identifier": area} for area in places] or None,
        "dcat:version": about.versions.get(dataset.id),
        "dcat:keyword": [dataset.grade.value, dataset.personal.value, dataset.sharing.value],
        "ld:grade": dataset.grade.value,
        "ld:personal": dataset.personal.value,
        "ld:sharing": dataset.sharing.value,
        "ld:legalBasis": dataset.legal_basis or None,
        "ld:freshness": _duration(dataset.freshness),
        "ld:retention": _duration(dataset.retention),
        "prov:wasDerivedFrom": [{"@id": f"{base}/collections/{quote(source)}"} for source in dataset.derived_from] or None,
        "dqv:hasQualityMeasurement": _measurements(here, about.qualities.get(dataset.id)) or None,
        "dcat:distribution": [_distribution(dataset, base, form) for form in ("geojson", "csv", "arrow")],
    }
    return {name: value for name, value in described.items() if value is not None}


def _shared(shared: Shared, base: str) -> dict[str, Any]:
    """What a peer shares: its rows are asked for by the peer's name, and say where they come from and what allows us to have them."""
    dataset, named = replace(shared.view.dataset, derived_from=()), f"sources={quote(shared.source, safe='')}"
    described = _dataset(dataset, base, Described())
    here = described["@id"]
    described |= {
        "@id": f"{here}?{named}",
        "dct:identifier": f"{shared.source}/{dataset.id}",
        "prov:wasAttributedTo": {"@type": "prov:Organization", "dct:identifier": shared.origin},
        "dcat:distribution": [_distribution(dataset, base, form, f"&{named}") for form in ("geojson", "csv", "arrow")],
    }
    return described | ({"ld:agreement": shared.agreement} if shared.agreement else {})


def _distribution(dataset: Dataset, base: str, form: str, named: str = "") -> dict[str, Any]:
    media_type, here = MEDIA_TYPES[form].partition(";")[0], f"{base}/collections/{quote(dataset.id)}"
    described = {
        "@type": "dcat:Distribution",
        "dct:title": form,
        "dcat:accessURL": {"@id": f"{here}/items?f={form}{named}"},
        "dcat:accessService": {"@id": f"{base}/"},
        "dcat:mediaType": {"@id": f"https://www.iana.org/assignments/media-types/{media_type}"},
        "dct:license": _licence(dataset.licence),
        "dct:accessRights": {"@id": f"{AUTHORITY}/access-right/{_ACCESS[dataset.sharing.value]}"},
    }
    return {name: value for name, value in described.items() if value is not None}


def _licence(licence: str) -> dict[str, Any] | None:
    """A licence of the SPDX list by its address there, any other by its name."""
    if not licence:
        return None
    if licence.startswith("LicenseRef-"):
        return {"@type": "dct:LicenseDocument", "dct:identifier": licence}
    return {"@id": licence if "://" in licence else f"https://spdx.org/licenses/{quote(licence)}"}


def _standard(standard: str) -> dict[str, Any]:
    return {"@id": standard} if "://" in standard else {"@type": "dct:Standard", "dct:identifier": standard}


def _frequency(dataset: Dataset) -> dict[str, str] | None:
    """The frequency of the European authority list that is nearest to the promise; the promise itself is `ld:freshness`."""
    if dataset.irregular:
        return {"@id": f"{AUTHORITY}/frequency/IRREG"}
    freshness = dataset.freshness
    name = next((name for span, name in _FREQUENCIES if freshness <= span), None) if freshness is not None else None
    return {"@id": f"{AUTHORITY}/frequency/{name}"} if name else None


def _measurements(here: str, quality: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Scores from 0 to 1, each a measurement of a metric in a dimension of the Linked Data quality survey."""
    return [
        {
            "@type": "dqv:QualityMeasurement",
            "dqv:computedOn": {"@id": here},
            "dqv:isMeasurementOf": {"@id": f"urn:liandong:metrics:{name}", "@type": "dqv:Metric", "dqv:inDimension": {"@id": dimension}},
            "dqv:value": {"@type": "xsd:double", "@value": quality[name]},
            "prov:generatedAtTime": {"@type": "xsd:dateTime", "@value": quality["computed_at"]},
        }
        for name, dimension in _DIMENSIONS.items()
        if quality is not None and quality.get(name) is not None
    ]


def _period(period: Mapping[str, str] | None) -> dict[str, Any] | None:
    """The period that the rows tell of."""
    if not period:
        return None
    ends = {name: {"@type": "xsd:dateTime" if "T" in end else "xsd:date", "@value": end} for name, end in period.items()}
    return {"@type": "dct:PeriodOfTime", "dcat:startDate": ends["start"], "dcat:endDate": ends["end"]}


def _duration(span: timedelta | None) -> dict[str, str] | None:
    return {"@type": "xsd:duration", "@value": f"PT{int(span.total_seconds())}S"} if span else None


def tagged(text: Text) -> list[dict[str, str]]:
    return [{"@language": "zh", "@value": text.zh}, {"@language": "en", "@value": text.en}]
