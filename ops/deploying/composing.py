"""Writes `compose.yaml` from the services that exist: one PostgreSQL for each, a Valkey, nothing shared but the network of the city."""

from __future__ import annotations

from collections.abc import Sequence

PUBLISHED = {"hub": 8000, "intercity": 8007}
"""Services that are reached from outside the containers, on loopback; a proxy with TLS stands before them."""
MEMORY = {"hub": "768M", "traffic": "1G", "fire": "768M"}
"""Those that hold more than the usual half gigabyte: the registry and live events, road networks."""

_HEAD = """\
# Written by `make docs` from the services that there are (ops/deploying/composing.py); `make check` fails when it is out of date.
# First: .venv/bin/liandong secrets     Then: docker compose up --detach --wait
# 由 `make docs` 生成。先执行 liandong secrets，再执行 docker compose up --detach --wait。
name: liandong

x-ours: &ours
  image: liandong:0.1.0
  build: {context: ., dockerfile: deploy/Dockerfile}
  user: "${LIANDONG_UID:?run liandong secrets first}:${LIANDONG_GID:?run liandong secrets first}"
  init: true
  read_only: true
  tmpfs: ["/tmp:size=256m,mode=1777"]
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  logging: {driver: json-file, options: {max-size: 10m, max-file: "5"}}

x-postgres: &postgres
  image: postgres:18-bookworm
  user: "${LIANDONG_UID:?run liandong secrets first}:${LIANDONG_GID:?run liandong secrets first}"
  read_only: true
  tmpfs: ["/tmp:size=64m,mode=1777", "/run/postgresql:size=8m,mode=1777"]
  cap_drop: [ALL]
  security_opt: ["no-new-privileges:true"]
  shm_size: 256m
  restart: unless-stopped
  stop_grace_period: 1m
  stop_signal: SIGINT
  healthcheck: {test: [CMD, pg_isready, -q, -h, 127.0.0.1, -U, postgres], interval: 5s, timeout: 3s, retries: 12, start_period: 1m}
  deploy: {resources: {limits: {cpus: "2", memory: 1G, pids: 200}}}
  logging: {driver: json-file, options: {max-size: 10m, max-file: "5"}}

services:
  valkey:
    image: valkey/valkey:8-bookworm
    user: "999:999"
    group_add: ["${LIANDONG_GID:?run liandong secrets first}"]
    command: [valkey-server, --aclfile, /run/secrets/valkey-users, --appendonly, "yes", --appendfsync, everysec, --save, "", --maxmemory-policy, noeviction,
      --dir, /data]
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    restart: unless-stopped
    stop_grace_period: 30s
    healthcheck: {test: [CMD-SHELL, "valkey-cli ping 2>&1 | grep -Eq 'PONG|NOAUTH'"], interval: 5s, timeout: 3s, retries: 12}
    deploy: {resources: {limits: {cpus: "1", memory: 1G, pids: 100}}}
    logging: {driver: json-file, options: {max-size: 10m, max-file: "5"}}
    volumes: ["valkey-data:/data"]
    secrets: [valkey-users]
    networks: [city]
"""

_SERVICE = """
  {name}:
    <<: *ours
    command: [uvicorn, "services.{name}.app:app", --host, 0.0.0.0, --port, "8000", --no-access-log, --no-server-header, --no-proxy-headers,
      --timeout-graceful-shutdown, "3", --timeout-keep-alive, "75", --log-level, warning]
    environment: {{LIANDONG_CONFIG: /run/secrets/{name}, MALLOC_ARENA_MAX: "2"}}
    restart: unless-stopped
    depends_on:
      prepare-{name}: {{condition: service_completed_successfully}}
      valkey: {{condition: service_healthy}}
    healthcheck: {{test: [CMD, python, -m, ops.deploying.healthy], interval: 10s, timeout: 5s, retries: 6, start_period: 1m}}
    deploy: {{resources: {{limits: {{cpus: "1", memory: {memory}, pids: 200}}}}}}
    volumes: ["{name}-state:/var/lib/liandong"]
    secrets: [{secrets}]
    networks: [city, {name}-database{edge}]
{ports}  prepare-{name}:
    <<: *ours
    command: [python, -m, ops.deploying.prepare, {name}]
    restart: "on-failure:5"
    depends_on: {{postgres-{name}: {{condition: service_healthy}}}}
    deploy: {{resources: {{limits: {{cpus: "1", memory: 512M, pids: 100}}}}}}
    secrets: [prepare-{name}]
    networks: [{name}-database]
  postgres-{name}:
    <<: *postgres
    environment:
      POSTGRES_PASSWORD_FILE: /run/secrets/postgres-{name}
      POSTGRES_INITDB_ARGS: "--auth-host=scram-sha-256 --auth-local=scram-sha-256 --data-checksums"
    volumes: ["{name}-data:/var/lib/postgresql"]
    secrets: [postgres-{name}]
    networks: [{name}-database]
"""


def compose_file(services: Sequence[str]) -> str:
    """The whole file. A database is reached by its own service alone, and only what is named in `PUBLISHED` from outside."""
    parts = [_HEAD, *(_service(name) for name in services)]
    edge = "  edge: {}\n" if PUBLISHED.keys() & set(services) else ""
    networks = "".join(f"  {name}-database: {{internal: true}}\n" for name in services)
    volumes = "".join(f"  {name}-{kind}: {{}}\n" for name in services for kind in ("data", "state"))
    secrets = "".join(_secrets(name) for name in services)
    own = "  clients: {file: deploy/secrets/clients.json}\n  valkey-users: {file: deploy/secrets/valkey-users.acl}\n"
    return "".join(parts) + f"\nnetworks:\n  city: {{internal: true}}\n{edge}{networks}\nvolumes:\n  valkey-data: {{}}\n{volumes}\nsecrets:\n{own}{secrets}"


def _service(name: str) -> str:
    published = PUBLISHED.get(name)
    return _SERVICE.format(
        name=name,
        memory=MEMORY.get(name, "512M"),
        secrets="hub, clients" if name == "hub" else name,
        edge=", edge" if published else "",
        ports=f'    ports: ["127.0.0.1:{published}:8000"]\n' if published else "",
    )


def _secrets(name: str) -> str:
    files = {name: f"{name}.json", f"prepare-{name}": f"prepare-{name}.json", f"postgres-{name}": f"postgres-{name}.txt"}
    return "".join(f"  {secret}: {{file: deploy/secrets/{file}}}\n" for secret, file in files.items())
