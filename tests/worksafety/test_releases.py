"""Releases: reported, revised, concluded, with the outline that env tells."""

from __future__ import annotations

from tests.worksafety.conftest import SITE, Safety


async def test_a_release_is_reported_revised_and_concluded_with_its_timeline(safety: Safety) -> None:
    await safety.depot()
    made = await safety.send("/releases", {"site": "430300:S1", "un": "1017", "rate_kg_s": 0.8}, 201)
    assert (made["substance"], made["name_zh"], made["lon"], made["revision"]) == ("7782-50-5", "氯", SITE[0], 1)
    assert (await safety.send(f"/releases/{made['id']}", {"rate_kg_s": 0.8}))["revision"] == 1
    assert (await safety.send(f"/releases/{made['id']}", {"rate_kg_s": 2.5, "note": "阀门开裂"}))["revision"] == 2
    ended = await safety.send(f"/releases/{made['id']}/conclude", {})
    assert await safety.send(f"/releases/{made['id']}/conclude", {}) == ended
    assert [(row["revision"], row["rate_kg_s"], row["ended_at"] is None) for row in ended["timeline"]] == [(1, 0.8, True), (2, 2.5, True), (3, 2.5, False)]
    assert (await safety.client.post(f"/releases/{made['id']}", json={"rate_kg_s": 1}, headers=safety.headers())).status_code == 409
    told = safety.events("worksafety.release.%")
    assert [event["type"] for event in told] == ["worksafety.release.reported.v1"] * 2 + ["worksafety.release.concluded.v1"]
    assert safety.rows(
        "SELECT DISTINCT envelope->>'regarding' AS regarding FROM outbox WHERE subject = 'sites/430300:S1' AND envelope->>'regarding' <> ''"
    ) == [{"regarding": f"releases/{made['id']}"}]


async def test_numbers_that_name_two_substances_are_refused(safety: Safety) -> None:
    await safety.depot()
    for stated, pointer, said in (
        ({"cas": "7782-50-5", "un": "1005"}, "/un", "UN 1005 is Ammonia (CAS 7664-41-7)"),
        ({"cas": "7782-50-6"}, "/cas", "last digit"),
    ):
        refused = await safety.send("/releases", {"site": "430300:S1", **stated}, 422)
        assert refused["pointer"] == pointer and said in refused["detail"]
    made = await safety.send("/releases", {"site": "430300:S1", "cas": "7782-50-5", "un": "1017"}, 201)
    unknown = await safety.send("/releases", {"site": "430300:S1", "cas": "71-43-2", "un": "9999"}, 201)
    assert (made["un"], unknown["un"]) == ("1017", "9999")
