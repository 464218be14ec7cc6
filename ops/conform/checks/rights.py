"""Who may see what: no token, a wrong one, a narrower one, one without the hub's mark."""

from __future__ import annotations

from ops.conform.asking import Reply
from ops.conform.model import Check, Skipped, must, table
from ops.conform.subject import Shared, Slice, Subject, claims
from shared.vocabulary import Text

STATES = "application/vnd.liandong.states+arrow"
NO_FIELD = "no_such_field_a1b2"
COUNT = {"measures": {"n": {"fn": "count"}}}


def _doors(ids: list[str]) -> list[tuple[str, str]]:
    """Routes that need a token."""
    return [("GET", "/capabilities"), ("GET", "/collections")] + [
        door
        for name in ids[:20]
        for door in (("GET", f"/collections/{name}/items"), ("GET", f"/collections/{name}/schema"), ("POST", f"/collections/{name}/aggregate"))
    ]


async def _refused(subject: Subject, token: str | None, what: str) -> None:
    for method, path in _doors(await subject.ids()):
        reply = await subject.asker.ask(method, path, json=COUNT if method == "POST" else None, token=token)
        must(reply.status == 401, f"{method} {path} with {what} answers {reply.status}, not 401.")
        must("www-authenticate" in reply.headers, f"The 401 of {method} {path} has no WWW-Authenticate header (RFC 9110, 11.6.1).")


async def no_token(subject: Subject) -> None:
    await _refused(subject, None, "no token")


async def broken_token(subject: Subject) -> None:
    token = subject.asker.token or ""
    if token.count(".") != 2:
        raise Skipped("the token is not a JWT")
    head, body, signature = token.split(".")
    forged = ("A" if signature[10:11] != "A" else "B").join((signature[:10], signature[11:]))
    await _refused(subject, f"{head}.{body}.{forged}", "an altered signature")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"  # {"alg":"none","typ":"at+jwt"}
    await _refused(subject, f"{none}.{body}.", "a token without signature")


async def wrong_audience(subject: Subject) -> None:
    if subject.other is None:
        raise Skipped("needs a token for another service: --other-token")
    await _refused(subject, subject.other, "a token for another service")


async def states(subject: Subject, shared: Shared) -> None:
    reply = await subject.aggregate(shared, COUNT, Accept=STATES)
    must(reply.status == 403, f"States are for the hub on someone's behalf only; with an ordinary token they answer {reply.status}, not 403.")


async def private(subject: Subject, shared: Shared) -> None:
    reply = (await subject.asker.get(f"{shared.path}/items", {"limit": 1})).ok()
    directives = {part.strip().lower().partition("=")[0] for part in reply.headers.get("cache-control", "").split(",")}
    must(
        directives & {"private", "no-store"} and "public" not in directives,
        "An answer that depends on the token says neither private nor no-store in Cache-Control.",
    )


async def _narrow(subject: Subject, shared: Shared) -> tuple[Slice, list[str], str]:
    """The slice as the ordinary token sees it, the areas of the narrower one, and that token."""
    if subject.narrow is None:
        raise Skipped("needs a token with fewer areas or less clearance: --narrow-token")
    return await subject.rows(shared), [str(area) for area in claims(subject.narrow).get("areas", ["*"])], subject.narrow


async def fewer_rows(subject: Subject, shared: Shared) -> None:
    whole, areas, token = await _narrow(subject, shared)
    answer = await subject.asker.get(f"{shared.path}/items", {**whole.records, "limit": 1}, token=token)
    if answer.status == 404:
        raise Skipped("the dataset does not exist for the narrower token")
    seen, _ = await subject.walk(shared, whole.records, token=token)
    ids = {row.id for row in whole.rows}
    must({row.id for row in seen} <= ids, "The narrower token sees rows that the wider one does not.")
    if shared.area is not None:
        within = {row.id for row in whole.rows if "*" in areas or str(row.values.get(shared.area)).startswith(tuple(areas))}
        must({row.id for row in seen} == within, f"A token for the areas {areas} sees {len(seen)} of the {len(within)} rows that lie there.")
    counted = (await subject.aggregate(shared, {**COUNT, **whole.aggregate}, token=token)).ok().json()
    if not shared.smallest_group:
        must(counted["rows"][0][0] == len(seen), f"The narrower token counts {counted['rows'][0][0]} rows and is shown {len(seen)}.")
    hidden = next((row for row in whole.rows if row.id not in {row.id for row in seen}), None)
    if hidden is not None:
        from ops.conform.checks.records import item_path

        reply = await subject.asker.get(item_path(shared, hidden.id), token=token)
        must(reply.status == 404, f"A row outside the token's areas answers {reply.status}, not 404.")


async def hidden_fields(subject: Subject, shared: Shared) -> None:
    _, _, token = await _narrow(subject, shared)
    reply = await subject.asker.get(f"{shared.path}/schema", token=token)
    if reply.status == 404:
        raise Skipped("the dataset does not exist for the narrower token")
    visible = table(table(reply.ok().json(), reply.asked).get("properties"), "properties")
    hidden = [name for name in shared.fields if name not in visible]
    if not hidden:
        raise Skipped("the narrower token sees every field")
    rows, _, _ = await subject.page(shared, {"limit": 5}, token=token)
    must(all(not set(hidden) & set(row.values) for row in rows), f"{hidden[0]} is above the token's clearance and shown all the same.")
    for name in hidden[:5]:
        asked = [await _ask_for(subject, shared, field, token) for field in (name, NO_FIELD)]
        told, invented = ([(one.status, table(one.json(), one.asked).get("type")) for one in replies] for replies in asked)
        must(told == invented, f"Asking for {name}, which is above the token's clearance, is answered otherwise than asking for a field that is not there.")


async def _ask_for(subject: Subject, shared: Shared, name: str, token: str) -> list[Reply]:
    """What names a field in every way that a question can."""
    path = f"{shared.path}/items"
    questions = ({"filter": f"{name} = 'x'"}, {"sortby": name}, {"properties": name}, {name: "x"})
    found = [await subject.asker.get(path, params, token=token) for params in questions]
    by = {**COUNT, "by": {"x": name}}
    measured = {"measures": {"n": {"fn": "distinct", "field": name}}}
    return found + [await subject.aggregate(shared, question, token=token) for question in (by, measured)]


CHECKS = (
    Check(id="rights.no-token", clause="Contract: rights; RFC 6750, 3", title=Text("无令牌答 401", "No token is 401"), server=no_token),
    Check(id="rights.broken-token", clause="RFC 8725, 3.1", title=Text("伪造的令牌答 401", "A forged token is 401"), server=broken_token),
    Check(
        id="rights.audience",
        clause="Contract: rights; RFC 9068, 4",
        title=Text("他人的令牌答 401", "A token for another service is 401"),
        server=wrong_audience,
    ),
    Check(id="rights.states", clause="Contract: aggregates between services", title=Text("中间状态只给枢纽", "States are for the hub only"), dataset=states),
    Check(id="rights.cache", clause="RFC 9111, 3.5", title=Text("答案不进公共缓存", "Answers stay out of shared caches"), dataset=private),
    Check(id="rights.rows", clause="Contract: rights", title=Text("令牌之外的行不存在", "Rows beyond the token do not exist"), dataset=fewer_rows),
    Check(id="rights.fields", clause="Contract: rights", title=Text("密级之上的字段不存在", "Fields above clearance do not exist"), dataset=hidden_fields),
)
