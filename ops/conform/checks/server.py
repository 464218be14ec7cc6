"""What a server says of itself: health, landing page, capabilities, events, problem types."""

from __future__ import annotations

import re
import secrets
from typing import Any

from ops.conform.model import Check, Skipped, fail, in_both, listed, must, table
from ops.conform.subject import Subject, moment
from shared.identity import NoProof, proven_key
from shared.vocabulary import Text

CLASSES = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
)
EVENT_TYPE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+\.v[1-9][0-9]*")
NOWHERE = "/no-such-page-a1b2c3"


async def alive(subject: Subject) -> None:
    reply = (await subject.asker.get("/healthz", token=None)).ok()
    must(table(reply.json(), "/healthz").get("status") == "ok", "/healthz does not say status: ok.")


async def ready(subject: Subject) -> None:
    reply = (await subject.asker.get("/readyz", token=None)).ok(200, 503)
    told = table(reply.json(), "/readyz")
    must(
        told.get("status") in (("unready",) if reply.status == 503 else ("ready", "degraded")),
        f"/readyz answers {reply.status} and status {told.get('status')!r}.",
    )
    must(isinstance(told.get("checks"), dict), "/readyz does not name its `checks`.")


async def proof(subject: Subject) -> None:
    told = await subject.capabilities()
    name = f"{told.get('city')}/{told.get('service')}"
    must(await _proven(subject, name) == await _proven(subject, name), "/proof proves another key a moment later; replicas share one (`service_key`).")


async def _proven(subject: Subject, name: str) -> dict[str, Any]:
    challenge = secrets.token_urlsafe(32)
    reply = (await subject.asker.get("/proof", {"challenge": challenge}, token=None)).ok()
    try:
        return proven_key(reply.content, name, challenge)
    except NoProof as error:
        fail(f"/proof does not prove that this is {name}: {error}.")


async def landing(subject: Subject) -> None:
    told = table((await subject.asker.get("/", headers={"Accept": "application/json"})).ok().json(), "GET /")
    relations = {str(table(link, "A link of the landing page").get("rel")): link for link in listed(told.get("links"), "`links` of the landing page")}
    missing = {"service-desc", "conformance", "data"} - set(relations)
    must(not missing, f"The landing page has no link with the relation {', '.join(sorted(missing))}.")
    described = table((await subject.asker.get(subject.asker.path_of(relations["service-desc"].get("href")))).ok().json(), "The API definition")
    must(str(described.get("openapi", "")).startswith("3."), "The API definition is not OpenAPI 3.")
    must("/collections" in table(described.get("paths"), "`paths` of the API definition"), "The API definition does not describe /collections.")


async def conformance(subject: Subject) -> None:
    told = table((await subject.asker.get("/conformance")).ok().json(), "GET /conformance")
    missing = [name for name in CLASSES if name not in listed(told.get("conformsTo"), "conformsTo")]
    must(not missing, f"conformsTo does not name {missing[0] if missing else ''}.")


async def capabilities(subject: Subject) -> None:
    told = table((await subject.asker.get("/capabilities")).ok().json(), "GET /capabilities")
    must(re.fullmatch(r"[a-z][a-z0-9-]{1,40}", str(told.get("service"))), f"service is {told.get('service')!r}.")
    must(re.fullmatch(r"[0-9]{6}", str(told.get("city"))), f"city is {told.get('city')!r}, not a code of six digits.")
    must(told.get("contract") == "1", f"contract is {told.get('contract')!r}; this is version '1'.")
    must(isinstance(told.get("version"), str), "version is not a text.")
    for dataset in listed(told.get("datasets"), "datasets"):
        one = table(dataset, "A dataset")
        in_both(one.get("title"), f"The title of {one.get('id')}")
        moment(one.get("as_of"))
    for lookup in listed(told.get("lookups", []), "lookups"):
        in_both(table(lookup, "A lookup").get("title"), f"The title of the lookup {lookup.get('id')}")
    scopes = listed(told.get("scopes"), "scopes")
    own = "hub:query" if told["service"] == "hub" else f"{told['service']}:read"
    must(own in scopes, f"scopes does not name {own}.")


async def names(subject: Subject) -> None:
    told, name = await subject.capabilities(), await subject.name()
    announced = [str(one.get("id")) for part in ("datasets", "lookups") for one in told.get(part, []) if isinstance(one, dict)]
    foreign = [one for one in announced if not re.fullmatch(rf"{re.escape(name)}\.[a-z0-9._-]+", one)]
    must(not foreign or name == "hub", f"{foreign[:1]} does not begin with the service's name, {name}.")
    must(len(set(announced)) == len(announced), "A dataset or lookup is announced twice.")


async def events(subject: Subject) -> None:
    told, name = await subject.capabilities(), await subject.name()
    declared = table(told.get("events"), "events")
    for kind in listed(declared.get("publishes"), "events.publishes"):
        must(EVENT_TYPE.fullmatch(str(kind)), f"The event type {kind!r} is not of the form service.subject.fact.v1.")
        must(str(kind).startswith(f"{name}."), f"The event type {kind!r} does not begin with the service's name, {name}.")
    must(all(isinstance(kind, str) for kind in listed(declared.get("consumes"), "events.consumes")), "events.consumes holds something that is not a text.")


async def schemas(subject: Subject) -> None:
    kinds = listed(table((await subject.capabilities()).get("events"), "events").get("publishes"), "events.publishes")
    hub = subject.asker if await subject.name() == "hub" else subject.hub
    if not kinds:
        raise Skipped("the service publishes no events")
    if hub is None:
        raise Skipped("needs the hub's address and a token for it: --hub and --hub-token")
    for kind in kinds[:100]:
        schema = table((await hub.get(f"/events/{kind}")).ok().json(), f"The schema of {kind}")
        must(str(schema.get("$id", "")).endswith(f"/events/{kind}"), f"The schema of {kind} has the $id {schema.get('$id')!r}.")
        must(isinstance(schema.get("properties"), dict), f"The schema of {kind} has no properties.")


async def problems(subject: Subject) -> None:
    reply = (await subject.asker.get(NOWHERE)).ok(404)
    must(
        reply.media_type == "application/problem+json",
        f"A page that is not there is answered as {reply.media_type or 'nothing'}, not application/problem+json.",
    )
    told = table(reply.json(), "The problem of a page that is not there")
    must(
        told.get("status") == 404 and all(isinstance(told.get(member), str) for member in ("type", "title", "detail")),
        "A problem needs type, title, status, detail.",
    )
    if not told["type"].startswith("/problems/"):
        fail(f"The problem type {told['type']!r} is not a relative address under /problems/.")
    page = table((await subject.asker.get(told["type"], token=None)).ok().json(), told["type"])
    must(page.get("type") == told["type"], f"{told['type']} explains another type.")
    in_both(page.get("title"), f"The title at {told['type']}")
    in_both(page.get("remedy"), f"The remedy at {told['type']}")


async def methods(subject: Subject) -> None:
    reply = await subject.asker.ask("POST", "/healthz", json={})
    must(reply.status == 405 and reply.media_type == "application/problem+json", f"POST /healthz answers {reply.status}; a problem with 405 is expected.")


CHECKS = (
    Check(id="health.proof", clause="Contract: proof", title=Text("证明身份", "The service proves who it is"), server=proof),
    Check(id="health.alive", clause="Contract: health", title=Text("进程应答", "The process answers"), server=alive),
    Check(id="health.ready", clause="Contract: health", title=Text("能否工作，缺什么", "Whether it can work, and what is missing"), server=ready),
    Check(id="landing.page", clause="OGC 17-069r4, 7.2–7.3", title=Text("首页与接口描述", "Landing page and API definition"), server=landing),
    Check(id="landing.conformance", clause="OGC 17-069r4, 7.4", title=Text("声明的标准类", "Declared conformance classes"), server=conformance),
    Check(id="capabilities.form", clause="Contract: capabilities", title=Text("能力声明的格式", "Form of the capabilities"), server=capabilities),
    Check(id="capabilities.names", clause="Contract: capabilities", title=Text("名称以服务名开头", "Names begin with the service's name"), server=names),
    Check(id="events.declared", clause="Contract: events; CloudEvents 1.0, 3.1", title=Text("声明的事件类型", "Declared event types"), server=events),
    Check(
        id="events.schema", clause="Contract: events; CloudEvents 1.0, 3.1 dataschema", title=Text("事件的数据模式", "Schemas of event data"), server=schemas
    ),
    Check(
        id="problems.form",
        clause="RFC 9457, 3; contract: problems",
        title=Text("问题类型有中英文解释", "Problem types explain themselves in zh and en"),
        server=problems,
    ),
    Check(id="problems.method", clause="RFC 9110, 15.5.6", title=Text("不支持的方法答 405", "A method that is not there is 405"), server=methods),
)
