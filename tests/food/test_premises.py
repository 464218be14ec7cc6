"""Premises: placed, merged, shown."""

from __future__ import annotations

from tests.food.conftest import DINER, RECENTLY, Food, counts, reasons


async def test_premises_lie_where_they_say_or_where_their_point_lies(food: Food):
    found = await food.load(
        "premises",
        DINER,
        {"number": "20", "name": "b", "lon": 112.85, "lat": 27.85, "crs": "wgs84"},
        {"number": "21", "name": "c", "lon": 112.85, "lat": 27.85, "crs": "wgs84", "within": "4303"},
        {"number": "22", "name": "d", "lon": 112.5, "lat": 27.5, "crs": "wgs84", "within": "4303"},
        {"number": "23", "name": "e", "within": "4303"},
        {"number": "24", "name": "f", "lon": 112.85, "lat": 27.85, "crs": "wgs84", "within": "4301"},
    )
    assert counts(found) == (6, 0, 0, 0)
    assert [row["area"] for row in food.rows("premises")] == ["430302", "430302", "430302", "4303", "4303", "4301"]


async def test_a_point_in_gcj02_is_kept_as_wgs84(food: Food):
    await food.load("premises", DINER | {"crs": "gcj02"})
    row = food.rows("premises")[0]
    assert 0.003 < DINER["lon"] - row["lon"] < 0.008


async def test_what_cannot_be_placed_or_read_is_rejected_with_its_reason_and_the_rest_taken(food: Food):
    answer = await food.client.post(
        "/premises",
        content=b"\n".join(
            [
                b'{"number": "19", "name": "a", "area": "430302"}',
                b'{"number": "1", "name": "a", "area": "4399"}',
                b'{"number": "2", "name": "a", "area": "430302", "lon": 112.85, "lat": 27.85}',
                b'{"number": "3", "name": "a", "area": "430302", "lon": 190, "lat": 27.85, "crs": "wgs84"}',
                b'{"number": "4", "name": "a", "lon": 1, "lat": 1, "crs": "wgs84"}',
                b'{"number": "5", "name": "a"}',
                b'{"number": "6/7", "name": "a", "area": "430302"}',
                b'{"number": "8", "name": "a\\u0000b", "area": "430302"}',
                b"{broken",
                b'{"number": "10", "name": "a", "area": "430302", "lon": NaN, "lat": 27.85, "crs": "wgs84"}',
            ]
        ),
        headers=food.headers() | {"Content-Type": "application/x-ndjson"},
    )
    assert reasons(answer.json()) == {
        1: "unknown-area",
        2: "value-error",
        3: "less-than-equal",
        4: "unknown-place",
        5: "value-error",
        6: "string-pattern-mismatch",
        7: "string-pattern-mismatch",
        8: "invalid-json",
        9: "finite-number",
    }
    assert counts(answer.json()) == (1, 0, 0, 9)


async def test_repetitions_are_duplicates_other_values_conflicts_and_contradictions_all_out(food: Food):
    assert counts(await food.load("premises", DINER, DINER)) == (1, 0, 1, 0)
    assert counts(await food.load("premises", DINER)) == (0, 0, 1, 0)
    renamed = await food.load("premises", DINER | {"name": "新名"})
    assert (counts(renamed), reasons(renamed)) == ((0, 0, 0, 1), {0: "conflict"})
    assert "name" in renamed["errors"][0]["detail"]
    twice = await food.load("premises", DINER | {"number": "7"}, DINER | {"number": "7", "name": "x"}, DINER | {"number": "8"})
    assert (counts(twice), reasons(twice)) == ((1, 0, 0, 2), {0: "contradictory", 1: "contradictory"})


async def test_a_correction_is_counted_and_keeps_what_was_there(food: Food):
    await food.load("premises", DINER)
    assert counts(await food.load("premises", DINER | {"name": "新名"}, correct=True)) == (0, 1, 0, 0)
    assert [row["name"] for row in food.rows("premises")] == ["新名"]
    assert [row["name"] for row in food.rows("premises_history")] == ["某某餐馆"]


async def test_nobody_writes_or_corrects_outside_the_areas_of_the_token(food: Food):
    await food.load("premises", DINER)
    changsha = food.headers(areas=["4301"])
    outside = await food.load("premises", DINER | {"number": "1"}, headers=changsha)
    assert reasons(outside) == {0: "outside-areas"}
    stolen = await food.load("premises", DINER | {"area": "4301", "lon": None, "lat": None, "crs": None}, headers=changsha, correct=True)
    assert reasons(stolen) == {0: "conflict"}
    assert food.rows("premises")[0]["area"] == "430302"


async def test_the_same_request_again_gives_the_same_answer_and_changes_nothing(food: Food):
    key = {"Idempotency-Key": "load-1"}
    first = await food.load("premises", DINER, headers=key)
    assert await food.load("premises", DINER, headers=key) == first
    other = await food.client.post("/premises", json=[], headers=food.headers() | key)
    assert other.status_code == 422


async def test_premises_are_shown_with_their_latest_inspection_to_those_who_may_see_them(food: Food):
    await food.load("premises", DINER)
    path = "/premises/430300:19"
    assert (await food.client.get(path, headers=food.headers())).json()["latest_inspection"] is None
    times = [RECENTLY.isoformat(), RECENTLY.replace(year=RECENTLY.year - 1).isoformat()]
    await food.load(
        "inspections", *({"number": str(place), "premises": "19", "inspected_at": at, "kind": "complaint", "score": 80} for place, at in enumerate(times))
    )
    await food.load("findings", {"number": "f", "inspection": "0", "code": "103109", "risk": "low"})
    shown = (await food.client.get(path, headers=food.headers())).json()["latest_inspection"]
    assert (shown["id"], [each["code"] for each in shown["findings"]]) == ("430300:0", ["103109"])
    assert (await food.client.get(path, headers=food.headers(areas=["4301"]))).status_code == 404
    assert (await food.client.get(path, headers=food.headers("food:write"))).status_code == 403
