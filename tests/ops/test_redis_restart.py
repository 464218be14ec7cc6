"""A Redis that ended in good order has everything again: transactions too, though nobody can sign in without a name."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ops.redis import Redis
from ops.redis_users import access_lines, service_users, user_names
from ops.secretfiles import write_private
from tests.ops.running_city import free_port_base

CITY = "430300"
STREAM = f"events:{CITY}/env"
ONCE = Retry(NoBackoff(), 0)


@contextmanager
def running(server: Redis) -> Iterator[redis.Redis]:
    process = subprocess.Popen(server.launch().program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with redis.Redis.from_url(server.url(), retry=ONCE) as admin:
            end = time.monotonic() + 20
            while True:
                try:
                    admin.ping()
                    break
                except redis.RedisError:
                    assert time.monotonic() < end and process.poll() is None
                    time.sleep(0.05)
            yield admin
    finally:
        process.terminate()
        process.wait(20)


def test_events_published_in_transactions_are_there_after_a_restart_and_nobody_enters_without_a_name(tmp_path: Path) -> None:
    server = Redis(tmp_path / "redis", free_port_base(), "secret", tmp_path / "users", {})
    names = user_names(["env"], CITY)
    write_private(server.access_file, access_lines(server.password, service_users(["env"], CITY, {name: name for name in names})))
    publisher = next(name for name in names if "publish" in name)
    with running(server), redis.Redis(port=server.port, username=publisher, password=publisher) as service, service.pipeline(transaction=True) as pipe:
        for number in range(3):
            pipe.xadd(STREAM, {"event": str(number)})
        pipe.execute()
    with running(server) as admin:
        assert admin.xlen(STREAM) == 3
        for password in (None, "", "default"):
            with redis.Redis(port=server.port, username="default", password=password, retry=ONCE) as stranger, pytest.raises(redis.AuthenticationError):
                stranger.xlen(STREAM)
