"""The main job's answers computed by pandas from the publishers' files, with nothing of the system in between."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import shapely

SAN_FRANCISCO = "us-06075"
MOMENT = "%m/%d/%Y %I:%M:%S %p"
LIMIT = 75
"""Daily mean of PM2.5, ug/m3: GB 3095-2012, class II."""
VALID_HOURS = 20
DISTRICTS = {
    "Dongsi": "110101",
    "Tiantan": "110101",
    "Guanyuan": "110102",
    "Wanshouxigong": "110102",
    "Aotizhongxin": "110105",
    "Nongzhanguan": "110105",
    "Gucheng": "110107",
    "Wanliu": "110108",
    "Shunyi": "110113",
    "Changping": "110114",
    "Dingling": "110114",
    "Huairou": "110116",
}


class Neighbourhoods:
    """Which planning neighbourhood holds a point; where two do, the smaller one."""

    def __init__(self, path: Path) -> None:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        names = sorted(feature["properties"]["name"] for feature in features)
        self.codes = {name: f"{SAN_FRANCISCO}-{place:02}" for place, name in enumerate(names, 1)}
        shapes = {feature["properties"]["name"]: shapely.from_geojson(json.dumps(feature["geometry"])).buffer(0) for feature in features}
        self._shapes = sorted(((shape.area, self.codes[name], shape) for name, shape in shapes.items()), key=lambda each: each[:2])

    def of(self, lon: float, lat: float) -> str | None:
        point = shapely.Point(lon, lat)
        return next((code for _, code, shape in self._shapes if shape.intersects(point)), None)

    def column(self, points: pd.DataFrame) -> pd.Series[Any]:
        """The code of each row's `lon` and `lat`, None where there is none."""
        found = {(lon, lat): self.of(lon, lat) for lon, lat in set(zip(points["lon"], points["lat"], strict=True)) if lon == lon}
        return pd.Series([found.get(point) for point in zip(points["lon"], points["lat"], strict=True)], index=points.index, dtype=object)


@dataclass(frozen=True)
class FireCalls:
    """By neighbourhood, None for the unknown one."""

    calls: dict[str | None, int]
    seconds: dict[str | None, list[float]]
    """Response times in ascending order."""


def fire_calls(path: Path, neighbourhoods: Neighbourhoods) -> FireCalls:
    """Distinct calls, and from the receipt of each to its first unit on scene."""
    rows = pd.read_csv(path, dtype=str)
    for column in ("Received DtTm", "On Scene DtTm"):
        rows[column] = pd.to_datetime(rows[column], format=MOMENT).dt.tz_localize("America/Los_Angeles", ambiguous=True, nonexistent="shift_forward")
    point = rows["Location"].str.extract(r"\((?P<lat>[-0-9.]+), (?P<lon>[-0-9.]+)\)").astype(float)
    rows["neighbourhood"] = neighbourhoods.column(point)
    rows["seconds"] = (rows["On Scene DtTm"] - rows["Received DtTm"]).dt.total_seconds()
    rows.loc[rows["seconds"] < 0, "seconds"] = None
    calls = rows.groupby("Call Number").agg(neighbourhood=("neighbourhood", "first"), seconds=("seconds", "min"))
    groups = dict(list(calls.groupby(calls["neighbourhood"].where(calls["neighbourhood"].notna(), ""))))
    return FireCalls(
        calls={name or None: len(group) for name, group in groups.items()},
        seconds={name or None: sorted(group["seconds"].dropna().tolist()) for name, group in groups.items()},
    )


def quantile(values: Sequence[float], q: float) -> float | None:
    """pandas' `quantile(q, interpolation="lower")`."""
    return float(pd.Series(values).quantile(q, interpolation="lower")) if values else None


@dataclass(frozen=True)
class Food:
    """By neighbourhood, None for the unknown one."""

    score_sum: dict[str | None, float]
    scores: dict[str | None, int]
    high_risks: dict[str | None, int]


def food(folder: Path, neighbourhoods: Neighbourhoods) -> Food:
    """Scores and high-risk violations; equal lines count once, lines that contradict each other not at all."""
    businesses = pd.read_csv(folder / "sf_businesses.csv", dtype=str, encoding="latin-1")
    points = businesses[["longitude", "latitude"]].astype(float).set_axis(["lon", "lat"], axis=1)
    area = dict(zip(businesses["business_id"], neighbourhoods.column(points), strict=True))
    inspections = pd.read_csv(folder / "sf_inspections_dev_2014_2016.csv", dtype=str).drop_duplicates()
    inspections = inspections.drop_duplicates(["business_id", "date", "type"], keep=False).dropna(subset="Score")
    violations = pd.read_csv(folder / "sf_violations_dev_2014_2016.csv", dtype=str).drop_duplicates()
    high = violations[violations["risk_category"] == "High Risk"]
    scores = inspections["Score"].astype(float).groupby(inspections["business_id"].map(lambda number: area[number] or ""))
    risks = high["business_id"].groupby(high["business_id"].map(lambda number: area[number] or ""))
    return Food(
        score_sum={str(name) or None: float(value) for name, value in scores.sum().items()},
        scores={str(name) or None: int(value) for name, value in scores.count().items()},
        high_risks={str(name) or None: int(value) for name, value in risks.count().items()},
    )


@dataclass(frozen=True)
class Air:
    """By district and first day of the month."""

    values: dict[tuple[str, str], int]
    value_sum: dict[tuple[str, str], float]
    days_above: dict[tuple[str, str], int]
    """Days of stations whose mean is above the limit, of at least 20 hours."""


def air(paths: Sequence[Path], year: int | None = None) -> Air:
    """PM2.5 by Beijing's calendar, of one year or of all."""
    rows = pd.concat([pd.read_csv(path, usecols=["year", "month", "day", "hour", "PM2.5", "station"]) for path in paths]).dropna(subset="PM2.5")
    rows = rows[rows["year"] == year] if year else rows
    rows["district"] = rows["station"].map(DISTRICTS)
    rows["date"] = pd.to_datetime(rows[["year", "month", "day"]])
    rows["period"] = rows["date"].dt.strftime("%Y-%m")
    months = rows.groupby(["district", "period"])["PM2.5"]
    days = rows.groupby(["district", "period", "station", "date"])["PM2.5"].agg(["mean", "count"])
    above = days[(days["count"] >= VALID_HOURS) & (days["mean"] > LIMIT)].groupby(["district", "period"]).size()
    counted: dict[Any, int] = months.count().to_dict()
    summed: dict[Any, float] = months.sum().to_dict()
    return Air(
        values={key: int(value) for key, value in counted.items()},
        value_sum={key: float(value) for key, value in summed.items()},
        days_above={key: int(above.to_dict().get(key, 0)) for key in counted},
    )
