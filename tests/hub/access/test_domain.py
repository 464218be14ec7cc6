"""Who may have which token: the rules alone."""

from __future__ import annotations

import pytest

from services.hub.access.domain import LONGEST_LOCK_S, Grant, Refusal, audience_of, hop_claims, lock_s, narrowed, password_fault, purpose_of
from services.hub.access.failures import ALLOWED, WINDOW_S, Failures
from shared.caller import Caller, Clearance
from shared.vocabulary import DataGrade, Personal

GRANT = Grant(
    scopes=frozenset({"env:read", "env:write", "hub:query"}),
    areas=("4303",),
    clearance=Clearance(DataGrade.IMPORTANT, Personal.NONE),
    purposes=("operations", "audit"),
    audiences=("430300/env", "430300/hub"),
)


def test_the_audience_is_the_hub_unless_a_service_is_named() -> None:
    assert audience_of(None, "430300", GRANT) == "430300/hub"
    assert audience_of("430300/env", "430300", GRANT) == "430300/env"


@pytest.mark.parametrize("resource", ["430100/env", "430300/", "430300/env/x", "430300/food", "https://example.org", "430300/env\n"])
def test_a_service_of_another_city_or_outside_the_grant_is_no_target(resource: str) -> None:
    with pytest.raises(Refusal) as refused:
        audience_of(resource, "430300", GRANT)
    assert refused.value.error == "invalid_target"


def test_a_token_for_a_sector_carries_only_scopes_that_mean_something_there() -> None:
    assert narrowed(GRANT, "430300/env", None) == {"env:read", "env:write", "hub:query"}
    assert narrowed(GRANT, "430300/food", None) == {"hub:query"}


def test_scope_narrows_and_never_widens() -> None:
    assert narrowed(GRANT, "430300/env", "env:read") == {"env:read"}
    for beyond in ("env:read food:read", "hub:admin", "", "  "):
        with pytest.raises(Refusal, match="is granted"):
            narrowed(GRANT, "430300/env", beyond)


def test_a_token_has_one_purpose_among_those_granted() -> None:
    assert purpose_of(GRANT, None) == "operations"
    assert purpose_of(GRANT, "audit") == "audit"
    with pytest.raises(Refusal, match="operations, audit"):
        purpose_of(GRANT, "curiosity")


def test_a_hop_carries_the_askers_rights_and_names_the_actor() -> None:
    asker = Caller("user:li.na", "430300/hub", frozenset({"hub:query", "food:read", "food:write", "hub:admin"}), ("430302",), Clearance(), "analysis")
    assert hop_claims(asker, "430300/food", "430300/hub") == {
        "sub": "user:li.na",
        "aud": "430300/food",
        "scope": "food:read hub:query",
        "areas": ["430302"],
        "clearance": {"grade": "general", "personal": "none"},
        "purpose": "analysis",
        "act": {"sub": "430300/hub"},
    }


def test_sign_in_shuts_longer_with_each_failure_up_to_a_bound() -> None:
    assert [lock_s(failures) for failures in range(4, 9)] == [0, 2, 4, 8, 16]
    assert lock_s(10_000) == LONGEST_LOCK_S


def test_passwords_are_long_and_not_the_name() -> None:
    assert password_fault("correct horse battery", "li.na") is None
    for bad in ("short", "a" * 30, "my name is li.na ok", "x" * 300):
        assert password_fault(bad, "li.na") is not None


def test_too_many_failures_in_a_minute_are_turned_away_until_it_has_passed() -> None:
    failures = Failures()
    assert all(failures.wait_s("env-system", now=float(second)) is None for second in range(ALLOWED))
    assert failures.wait_s("env-system", now=30.0) == 30
    assert failures.wait_s("other", now=30.0) is None
    assert failures.wait_s("env-system", now=WINDOW_S + 0.5) is None
