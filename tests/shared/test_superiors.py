"""Another hub's tokens open this one only as far as was agreed with that hub, and only on somebody's behalf."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.hub.access.domain import hop_claims
from shared.caller import Caller, common_areas
from shared.config import Settings, Superior
from shared.errors import Unauthenticated, Unavailable
from shared.testing import Issuer
from shared.tokens import Tokens
from shared.vocabulary import DataGrade, Personal

CITY, PROVINCE = "430300/hub", "430000/hub"


class Own:
    """The city's own issuer."""

    def __init__(self) -> None:
        self.issuer = Issuer("http://city")

    async def keys(self) -> dict[str, Any]:
        return {"keys": self.issuer.trust()["keys"]}

    async def revocations(self) -> dict[str, Any]:
        return {"tokens": [], "subjects": {}}

    async def token(self, client: str, secret: str, audience: str) -> str:
        raise Unauthenticated(f"No token for {client} at {audience}: it says {len(secret)} characters.")


class World:
    def __init__(self, folder: Path) -> None:
        self.folder, self.own, self.province, self.down = folder, Own(), Issuer("http://province"), False
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://province/.well-known/jwks.json"
        return httpx.Response(503 if self.down else 200, json={"keys": self.province.trust()["keys"]})

    def tokens(self, **bounds: Any) -> Tokens:
        url = SecretStr("postgresql://nobody@127.0.0.1/none")
        superiors = {PROVINCE: Superior(issuer="http://province", **bounds)}
        settings = Settings(service="hub", database_url=url, reader_url=url, issuer="http://city", cache_dir=self.folder, superiors=superiors)
        return Tokens(settings, self.own, http=self.http)

    def hop(self, **claims: Any) -> str:
        """As the province's hub mints it for one call."""
        claims = {"scope": "hub:query fire:write hub:admin", "actor": PROVINCE, "lifetime_s": 60, "subject": "user:li", **claims}
        return self.province.token(claims.pop("audience", CITY), **claims)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    await made.http.aclose()


async def test_a_superiors_token_is_taken_within_its_bounds(world: World) -> None:
    tokens = world.tokens(areas=("4303", "430481"), grade="important")
    await tokens.refresh()
    found = await tokens.verify(world.hop(areas=["43"], clearance={"grade": "important", "personal": "sensitive"}))
    assert (found.subject, found.actor, found.superior, found.areas) == ("430000/hub:user:li", PROVINCE, PROVINCE, ("4303", "430481"))
    assert found.scopes == {"hub:query"}
    assert (found.clearance.grade, found.clearance.personal) == (DataGrade.IMPORTANT, Personal.NONE)
    assert (await tokens.verify(world.hop(areas=["430302", "4301"]))).areas == ("430302",)
    assert (await tokens.verify(world.own.issuer.token(CITY, scope="hub:admin"))).superior is None


async def test_bounds_on_scopes_and_wide_scopes_meet_in_what_both_allow(world: World) -> None:
    tokens = world.tokens(scopes=("fire:read", "hub:admin"))
    await tokens.refresh()
    assert (await tokens.verify(world.hop())).scopes == {"fire:read"}
    assert (await tokens.verify(world.hop(scope="fire:read water:read"))).scopes == {"fire:read"}


@pytest.mark.parametrize(
    "change",
    [
        {"actor": None},
        {"actor": "430200/hub"},
        {"audience": "430100/hub"},
        {"lifetime_s": 900},
        {"iss": "http://elsewhere"},
        {"act": {"sub": PROVINCE, "act": {"sub": 7}}},
        {"sub": None},
    ],
)
async def test_a_token_that_is_not_for_one_call_in_somebodys_name_is_refused(world: World, change: dict[str, Any]) -> None:
    tokens = world.tokens()
    await tokens.refresh()
    with pytest.raises(Unauthenticated):
        await tokens.verify(world.hop(**change))


async def test_neither_issuer_signs_for_the_other_and_pinned_keys_are_the_only_ones(world: World) -> None:
    tokens, impostor = world.tokens(), Issuer("http://province")
    await tokens.refresh()
    with pytest.raises(Unauthenticated):
        await tokens.verify(world.own.issuer.token(CITY, scope="hub:query", iss="http://province", actor=PROVINCE, lifetime_s=60))
    with pytest.raises(Unauthenticated):
        await tokens.verify(world.province.token(CITY, scope="hub:query", iss="http://city", actor=PROVINCE, lifetime_s=60))
    pinned = world.tokens(keys=tuple(impostor.trust()["keys"]))
    await pinned.refresh()
    with pytest.raises(Unauthenticated):
        await pinned.verify(world.hop())


async def test_keys_are_fetched_when_first_needed_and_kept_over_a_restart(world: World) -> None:
    world.down = True
    tokens = world.tokens()
    await tokens.refresh()
    with pytest.raises(Unavailable):
        await tokens.verify(world.hop())
    world.down = False
    await tokens.refresh()
    assert (await tokens.verify(world.hop())).superior == PROVINCE
    world.down = True
    restarted = world.tokens()
    restarted.load()
    assert (await restarted.verify(world.hop())).superior == PROVINCE


def test_a_question_names_everybody_through_whom_it_came() -> None:
    asker = Caller("430000/hub:user:li", CITY, frozenset({"hub:query"}), ("43",), actor=PROVINCE, earlier=("000000/hub",))
    assert hop_claims(asker, "430300/fire", CITY)["act"] == {"sub": CITY, "act": {"sub": PROVINCE, "act": {"sub": "000000/hub"}}}
    claims = {**hop_claims(asker, "430300/fire", CITY), "iat": 1, "exp": 2}
    assert (Caller.from_claims(claims).actor, Caller.from_claims(claims).earlier) == (CITY, (PROVINCE, "000000/hub"))


@pytest.mark.parametrize(
    ("mine", "others", "common"),
    [
        (["*"], ["4303"], ("4303",)),
        (["43"], ["*"], ("43",)),
        (["43"], ["4303", "430302"], ("4303",)),
        (["4301"], ["4303"], ()),
        ([], ["*"], ()),
        (["*", "4303"], ["*"], ("*",)),
    ],
)
def test_common_areas(mine: list[str], others: list[str], common: tuple[str, ...]) -> None:
    assert common_areas(mine, others) == common
