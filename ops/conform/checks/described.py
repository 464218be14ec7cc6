"""How a dataset is described: its collection page and the schema of its rows."""

from __future__ import annotations

from ops.conform.model import Check, in_both, listed, must, table
from ops.conform.subject import Shared, Subject
from shared.vocabulary import DataGrade, Personal, Sharing, Text

TYPES = {"string", "integer", "number", "boolean", "datetime", "date"}


async def collection(subject: Subject, shared: Shared) -> None:
    all_of_them = listed(table((await subject.asker.get("/collections")).ok().json(), "/collections").get("collections"), "collections")
    must(
        any(isinstance(one, dict) and one.get("id") == shared.id for one in all_of_them),
        f"/collections does not list {shared.id}, which /capabilities announces.",
    )
    one = table((await subject.asker.get(shared.path)).ok().json(), shared.path)
    must(one.get("id") == shared.id and isinstance(one.get("title"), str), f"{shared.path} has another id, or no title.")
    links = {str(table(link, "A link").get("rel")) for link in listed(one.get("links"), "links")}
    must("items" in links, f"{shared.path} has no link with the relation `items` (OGC 17-069r4, 7.14).")
    names = table(one.get("names"), f"`names` of {shared.path}")
    for part in ("title", "description", "owner"):
        in_both(names.get(part), f"names.{part} of {shared.id}")
    must(isinstance(one.get("legal_basis"), str) and one["legal_basis"], f"{shared.id} names no legal_basis.")


async def schema(subject: Subject, shared: Shared) -> None:
    reply = (await subject.asker.get(f"{shared.path}/schema")).ok()
    told = table(reply.json(), reply.asked)
    must(reply.media_type == "application/schema+json", f"The schema comes as {reply.media_type}, not application/schema+json.")
    must(shared.fields, f"{shared.id} has no fields.")
    _labelled(told, shared.id)
    instants = [name for name, one in shared.fields.items() if one.described.get("x-ogc-role") == "primary-instant"]
    must(len(instants) <= 1, f"{shared.id} has several fields with the role primary-instant: {instants}.")
    for name, field in shared.fields.items():
        must(field.type in TYPES, f"The field {name} has the type {field.type!r}; one of {sorted(TYPES)} is expected.")
        in_both(field.described.get("x-title"), f"x-title of the field {name}")
        _labelled(field.described, name)
    missing = [name for name in listed(told.get("required", []), "required") if name not in shared.fields]
    must(not missing, f"`required` names {missing[:1]}, which is no field.")


def _labelled(described: object, name: str) -> None:
    labels = table(described, name)
    must(
        labels.get("x-grade") in {DataGrade.GENERAL.value, DataGrade.IMPORTANT.value},
        f"x-grade of {name} is {labels.get('x-grade')!r}; core data may not be shared.",
    )
    must(labels.get("x-personal") in {one.value for one in Personal}, f"x-personal of {name} is {labels.get('x-personal')!r}.")
    must(labels.get("x-sharing") in {one.value for one in Sharing}, f"x-sharing of {name} is {labels.get('x-sharing')!r}.")


async def queryables(subject: Subject, shared: Shared) -> None:
    told = table((await subject.asker.get(f"{shared.path}/queryables")).ok().json(), "queryables")
    missing = set(shared.fields) - set(table(told.get("properties"), "properties of queryables"))
    must(not missing, f"queryables does not name {sorted(missing)[:1]}, which the schema has.")


CHECKS = (
    Check(id="collection.page", clause="OGC 17-069r4, 7.13–7.14; contract: records", title=Text("数据集页面", "Collection page"), dataset=collection),
    Check(id="collection.schema", clause="OGC 23-058r1; contract: labels", title=Text("字段、单位与标签", "Fields, units and labels"), dataset=schema),
    Check(id="collection.queryables", clause="OGC 19-079r2, 6.2", title=Text("可查询的字段", "Queryable fields"), dataset=queryables),
)
