"""When an inspection counts as failed: rules by registry and date, each with its source."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

RISKS = ("low", "moderate", "high")
LIVE_FOR = timedelta(days=7)
"""A failure that is recorded later than this after the inspection is history, not news: no event tells of it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An edition of the rule by which inspections of a registry are judged."""

    edition: str
    source: str
    registry: str | None
    """The registry whose inspections it judges; None for all that have no rule of their own."""
    since: datetime
    lowest_passing_score: float
    """Of 100."""
    failing_risks: frozenset[str]
    """A finding of one of these risks fails the inspection whatever its score."""


RULES = (
    Rule(
        edition="quantified-grading-2012",
        source=(
            "餐饮服务食品安全监督量化分级管理（国食药监食〔2012〕5号）：低于 6.0 分（满分 10 分）不评定等级；"
            "食品生产经营监督检查管理办法（市场监管总局令第49号）：重点项不符合即为不符合。条款待核对原文。"
        ),
        registry=None,
        since=datetime(1900, 1, 1, tzinfo=UTC),
        lowest_passing_score=60,
        failing_risks=frozenset({"high"}),
    ),
    Rule(
        edition="sfdph-score",
        source="San Francisco Department of Public Health, How the Restaurant Scoring System Works: 70 or less is 'poor'; high-risk violations alone are not",
        registry="sf-dph",
        since=datetime(1900, 1, 1, tzinfo=UTC),
        lowest_passing_score=71,
        failing_risks=frozenset(),
    ),
)


def rule_for(registry: str, inspected_at: datetime, rules: Sequence[Rule] = RULES) -> Rule:
    """The newest rule of this registry that was in force at the inspection, else the newest general one."""
    in_force = [rule for rule in rules if rule.since <= inspected_at and rule.registry in (registry, None)]
    return max(in_force, key=lambda rule: (rule.registry is not None, rule.since))


def failed(rule: Rule, score: float | None, risks: Collection[str]) -> bool:
    """Whether an inspection with this score (of 100; None if none was given) and findings of these risks failed."""
    too_low = score is not None and score < rule.lowest_passing_score
    return too_low or not rule.failing_risks.isdisjoint(risks)


def is_news(inspected_at: datetime, now: datetime) -> bool:
    """Whether a failure found now should still be told as an event."""
    return now - inspected_at <= LIVE_FOR
