"""What holds for every service: nothing that a client sends ends in a server error, every route needs a token, GIS tools open it as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from owslib.ogcapi.features import Features

from ops.services import ROOT, present
from tests.ops.running_city import RunningCity, free_port_base

SECONDS, PROOF_SECONDS = 3, 120
HUB_LAST = sorted(present(), key=lambda name: name == "hub")
"""An administrator's generated requests take clients away, so they come after all others."""
NEVER_ENDS = "^/(events|crews)/stream$"
CALLS_OUT_OR_ENDS_THE_TOKEN = "^/(oauth/revoke|sources.*)$"
PUBLIC = {
    "/problems/{slug}",
    "/healthz",
    "/readyz",
    "/metrics",
    "/proof",
    "/",
    "/conformance",
    "/api",
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/revocations",
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/sign-in",
    "/openapi.json",
}
"""Routes that answer without a bearer token. `/oauth/token`, `/oauth/revoke` and `/sign-in` ask for credentials of their own."""
PUBLIC_AT = {
    "hub": {("GET", "/areas"), ("GET", "/areas/{code}"), ("GET", "/map"), ("GET", "/warnings/feed.atom")},
    "intercity": {("GET", "/identity"), ("POST", "/messages")},
}
"""What else is public where. A message between cities is proven by its signature."""


@pytest.fixture(scope="module")
def running_city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCity]:
    made = RunningCity(tmp_path_factory.mktemp("hostile"), free_port_base())
    made.start()
    yield made
    made.close()


@pytest.mark.parametrize("service", present())
def test_every_route_needs_a_token_but_the_listed_ones(running_city: RunningCity, service: str) -> None:
    url = running_city.run_file()["services"][service]["url"]
    described = httpx.get(f"{url}/openapi.json", trust_env=False).json()["paths"]
    open_routes = set()
    for path, methods in described.items():
        for method in methods:
            concrete = path.replace("{", "").replace("}", "")
            answer = httpx.request(method, url + concrete, trust_env=False, timeout=10)
            if answer.status_code not in (401, 403):
                open_routes.add((method.upper(), path))
    listed = PUBLIC_AT.get(service, set())
    assert {(method, path) for method, path in open_routes if path not in PUBLIC} == listed


@pytest.mark.parametrize("service", present())
def test_gdal_and_owslib_open_every_service_as_it_is(running_city: RunningCity, service: str) -> None:
    client = "analyst" if service == "hub" else f"{service}-system"
    bearer = f"Bearer {running_city.command('token', client, '--resource', service).stdout.strip()}"
    url = running_city.run_file()["services"][service]["url"]
    features = Features(url, headers={"Authorization": bearer})
    names = [found["id"] for found in features.collections()["collections"]]
    assert names
    for name in names:
        assert features.collection_schema(name)["properties"]
        assert features.collection_items(name, limit=2)["type"] == "FeatureCollection"
    if shutil.which("ogrinfo") is None:
        pytest.skip("ogrinfo is missing (Debian: gdal-bin); OWSLib read every collection")
    environment = {**os.environ, "GDAL_HTTP_HEADERS": f"Authorization: {bearer}", "no_proxy": "127.0.0.1"}
    done = subprocess.run(["ogrinfo", "-ro", "-so", "-al", f"OAPIF:{url}"], capture_output=True, text=True, env=environment, timeout=60, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "ERROR" not in told, told
    assert all(f"Layer name: {name}" in told for name in names), told


def test_deep_filters_never_reach_the_parser(running_city: RunningCity) -> None:
    """2,000 nested parentheses or a long chain of NOT would kill the process."""
    city, before = running_city, running_city.run_file()["services"]
    bearer = {"Authorization": f"Bearer {city.command('token', 'analyst').stdout.strip()}"}
    for hostile in ("(" * 2000 + "1=1" + ")" * 2000, "NOT " * 1500 + "1=1", "a=1 AND " * 900 + "a=1"):
        for name in ("env.observations", "hub.areas"):
            answer = httpx.get(f"{before['hub']['url']}/collections/{name}/items", params={"filter": hostile}, headers=bearer, trust_env=False, timeout=20)
            assert answer.status_code == 400, answer.text[:500]
            asked = {"measures": {"n": {"fn": "count"}}, "filter": hostile}
            answer = httpx.post(f"{before['hub']['url']}/collections/{name}/aggregate", json=asked, headers=bearer, trust_env=False, timeout=20)
            assert answer.status_code == 400, answer.text[:500]
    assert running_city.run_file()["services"] == before, "no process died of it"


@pytest.mark.parametrize("service", HUB_LAST)
def test_no_generated_request_ends_in_a_server_error(running_city: RunningCity, service: str) -> None:
    attack(running_city, service, SECONDS)


@pytest.mark.proof
@pytest.mark.parametrize("service", HUB_LAST)
def test_no_generated_request_ends_in_a_server_error_however_long_one_tries(running_city: RunningCity, service: str) -> None:
    attack(running_city, service, PROOF_SECONDS)


def attack(city: RunningCity, service: str, seconds: int) -> None:
    """500 is a fault of ours. That a source or the database did not answer in time (502, 503, 504) is an honest answer on a busy machine."""
    client = "admin" if service == "hub" else f"{service}-system"
    token = city.command("token", client, "--resource", service).stdout.strip()
    assert token
    url = city.run_file()["services"][service]["url"]
    config = city.var.parent / "schemathesis.toml"
    config.write_text(
        'hooks = "tests.contract.serializers"\n\n[checks]\nnot_a_server_error = {expected-statuses = ["2xx", "3xx", "4xx", "502", "503", "504"]}\n',
        encoding="utf-8",
    )
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file",
        str(config),
        "run",
        f"{url}/openapi.json",
        "-H",
        f"Authorization: Bearer {token}",
    ]
    command += ["--checks", "not_a_server_error", "--phases", "examples,fuzzing" if seconds == SECONDS else "examples,coverage,fuzzing,stateful"]
    command += ["--max-examples", "4" if seconds == SECONDS else "100", "--seed", "20261122", "--max-time", str(seconds), "--request-timeout", "10"]
    command += ["--continue-on-failure", "--warnings", "off", "--exclude-path-regex", f"{NEVER_ENDS}|{CALLS_OUT_OR_ENDS_THE_TOKEN}"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=city.var.parent, env=environment, timeout=seconds + 90, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " generated, " in done.stdout
