"""The page of all settings, written from `shared/config.py`."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from shared.config import Settings
from shared.sectors import PORT_OFFSETS

HEAD = """# Settings · 设置

Written from `shared/config.py` by `make docs`; `make check` fails when it is out of date.

A service reads the JSON file that `LIANDONG_CONFIG` names (mode 0600); variables `LIANDONG_<NAME>` override it. `make run` writes
these files to `$VAR_DIR/config/`. 服务读取 `LIANDONG_CONFIG` 所指的 JSON 文件（权限 0600），环境变量 `LIANDONG_<名称>` 优先。

| setting | variable | type | default | meaning |
|---|---|---|---|---|
"""
RUNTIME = """
## The local runtime · 本地运行

| variable | option of `liandong up` | default | meaning |
|---|---|---|---|
| `VAR_DIR` | `--var-dir` | `var` | Folder with everything the city keeps: databases, secrets, log |
| `PORT_BASE` | `--port-base` | `8000` | Port of the hub; %OFFSETS% |
| `CITY` | `--city` | `430300` | Six-digit code of the city |
| `DEMO` | `--demo` | `on` | Whether a new city is furnished with facts that are made up, and lives, or gets areas alone (`off`) |
| `DEMO_SPEED` | `--demo-speed` | `1` | How many times as much happens in the demo as would really; times stay those of the clock |
| `DEMO_SEED` | `--demo-seed` | `1` | What the demo's chance begins with: the same seed, the same weather |
| `LIANDONG_POSTGRES_URL` | `--postgres-url` | | Administrator's address of a PostgreSQL of your own, instead of the local one |
| `LIANDONG_REDIS_URL` | `--redis-url` | | Administrator's address of a Redis or Valkey of your own, instead of the local one |
"""


def settings_page() -> str:
    """The whole page as Markdown."""
    offsets = ", ".join(f"{name} +{offset}" for name, offset in PORT_OFFSETS.items() if offset)
    rows = [
        f"| `{name}` | `LIANDONG_{name.upper()}` | {_type(field.annotation)} | {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return HEAD + "\n".join(rows) + "\n" + RUNTIME.replace("%OFFSETS%", offsets)


def _type(annotation: Any) -> str:
    """A type in words: `text`, `secret text`, `list of text` …"""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _type(next(argument for argument in arguments if argument is not type(None)))
    if origin in (tuple, list):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"object of {_type(arguments[1])}"
    known: dict[Any, str] = {str: "text", int: "integer", float: "number", bool: "true or false", Path: "path", SecretStr: "secret text"}
    return known.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ((), {}, []):
        return ""
    return f"`{', '.join(value) if isinstance(value, tuple) else value}`"
