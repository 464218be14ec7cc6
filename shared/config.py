"""Settings of a service: one JSON file with mode 0600, overridden by `LIANDONG_*` variables."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, JsonConfigSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from shared.caller import Clearance
from shared.sectors import PORT_OFFSETS
from shared.vocabulary import DataGrade, Personal

MIB = 1024 * 1024


class Superior(BaseModel):
    """A hub of a higher level of the same administration that may ask this one, on somebody's behalf."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    """`iss` of its tokens."""
    keys: tuple[dict[str, str], ...] = ()
    """Its public keys (JWK), pinned: no others are believed. Without any, they are fetched."""
    keys_url: str | None = None
    """Where they are fetched; `<issuer>/.well-known/jwks.json` unless told otherwise."""
    areas: tuple[str, ...] = ("*",)
    """Area code prefixes of which it is told, whatever its askers may see."""
    scopes: tuple[str, ...] = ("hub:query",)
    """Reading scopes that its askers may use here; `hub:query` is every one."""
    grade: DataGrade = DataGrade.GENERAL
    personal: Personal = Personal.NONE
    """The highest clearance that its askers may have here."""

    @property
    def keys_at(self) -> str:
        return self.keys_url or f"{self.issuer.rstrip('/')}/.well-known/jwks.json"

    @property
    def clearance(self) -> Clearance:
        return Clearance(self.grade, self.personal)


class Settings(BaseSettings):
    """What a service must be told; secrets are never shown by `repr`."""

    model_config = SettingsConfigDict(env_prefix="LIANDONG_", extra="ignore", frozen=True)

    service: Annotated[str, Field(description="Name of the service: hub, food, fire, env, …")]
    city: Annotated[str, Field(description="Six-digit identifier of the city, used in service names")] = "430300"
    areas: Annotated[tuple[str, ...], Field(description="Area code prefixes this city's services answer for; `*` is everywhere")] = ("*",)
    services: Annotated[tuple[str, ...], Field(description="Services of the city whose events are read where a handler is for all sources")] = tuple(
        PORT_OFFSETS
    )
    timezone: Annotated[str, Field(description="IANA time zone in which days, weeks and months are counted")] = "Asia/Shanghai"

    database_url: Annotated[SecretStr, Field(description="PostgreSQL, app role: postgresql://user:password@host:port/name")]
    reader_url: Annotated[SecretStr, Field(description="PostgreSQL, reader role, used for all reads of the federation contract")]
    owner_url: Annotated[SecretStr | None, Field(description="PostgreSQL, owner role; only migrations need it")] = None
    redis_publish_url: Annotated[SecretStr | None, Field(description="Redis user that may append to this service's own stream only")] = None
    redis_consume_url: Annotated[SecretStr | None, Field(description="Redis user that may read and acknowledge only")] = None

    hub_url: Annotated[str, Field(description="Base address of the city's hub")] = "http://127.0.0.1:8000"
    issuer: Annotated[str, Field(description="Issuer of access tokens (`iss`)")] = "http://127.0.0.1:8000"
    client_secret: Annotated[SecretStr | None, Field(description="Secret of the service's own client `<service>-service`, if it asks other services")] = None
    addresses: Annotated[dict[str, str], Field(description="Base addresses of the city's other services, by name")] = {}
    cache_dir: Annotated[Path, Field(description="Folder for what must survive a lost hub: key set, revocations, areas")] = Path("var/cache")

    cells_key: Annotated[
        Path | None,
        Field(description="File (mode 0600) with the secret that perturbs counts of persons, one for all replicas; made in `cache_dir` if not given"),
    ] = None

    service_key: Annotated[
        Path | None, Field(description="File of the key by which hubs know this service (mode 0600, made at the first start); replicas share one")
    ] = None

    body_limit: Annotated[int, Field(description="Largest request body in bytes, before and after decompression", gt=0)] = 2 * MIB
    load_limit: Annotated[int, Field(description="Largest body of a bulk load in bytes, before and after decompression", gt=0)] = 32 * MIB
    page_limit: Annotated[int, Field(description="Most rows in one page of records", gt=0)] = 10_000
    streams_at_once: Annotated[int, Field(description="Most streams of records at the same time; each holds a database connection of its own", gt=0)] = 6
    stream_timeout_s: Annotated[float, Field(description="Longest a stream of records may take, in seconds", gt=0)] = 600.0
    stream_idle_s: Annotated[float, Field(description="Longest a stream waits for a client, or a source, that moves nothing, in seconds", gt=0)] = 60.0
    statement_timeout_s: Annotated[float, Field(description="Longest a single database statement may run, in seconds", gt=0)] = 20.0

    columns_bytes: Annotated[
        int, Field(description="Bytes of tables' columns kept in memory for aggregates, for as long as a table does not change; 0: none", ge=0)
    ] = 128 * MIB

    signing_keys: Annotated[Path | None, Field(description="Hub: folder of the token signing keys (JWK files, mode 0600)")] = None
    sources: Annotated[dict[str, str], Field(description="Hub: sectors and hubs below to ask, full name (`430300/fire`, `430302/hub`) to base address")] = {}
    superiors: Annotated[
        dict[str, Superior], Field(description="Hub: hubs of a higher level that may ask this one (`430000/hub`), each with issuer, keys and bounds")
    ] = {}
    kept_bytes: Annotated[int, Field(description="Hub: bytes of sources' answers kept in memory, given again as long as nothing changes; 0: none", ge=0)] = (
        64 * MIB
    )
    sql_memory_mb: Annotated[int, Field(description="Hub: MiB of memory that one SQL statement may compute in", ge=64)] = 512
    sql_at_once: Annotated[int, Field(description="Hub: most SQL statements computed at the same time, and as many light ones beside them", gt=0)] = 4
    clients_file: Annotated[Path | None, Field(description="Hub: machine clients made at first start (JSON, mode 0600)")] = None
    access_days: Annotated[int, Field(description="Hub: days for which the access record is kept, whole months at a time; at least 183", ge=183)] = 1095
    private_addresses: Annotated[bool, Field(description="Hub: may outgoing calls reach private addresses")] = True

    @property
    def audience(self) -> str:
        """The name by which tokens address this service: `430300/food`."""
        return f"{self.city}/{self.service}"

    @property
    def key_file(self) -> Path:
        """Where the service's own key lies."""
        return self.service_key or self.cache_dir / "service-key.jwk"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get("LIANDONG_CONFIG")
        return (init_settings, env_settings, *((JsonConfigSettingsSource(settings_cls, file),) if file else ()))


def load_settings() -> Settings:
    """Read the settings of this process from `LIANDONG_CONFIG` and the environment."""
    return Settings()


async def arrived_settings(patience_s: float = 60.0) -> Settings:
    """The settings of this process, waited for: whoever prepares the databases writes the file once they are ready."""
    file, end = os.environ.get("LIANDONG_CONFIG"), time.monotonic() + patience_s
    while file and not await asyncio.to_thread(Path(file).exists):
        if time.monotonic() > end:
            raise FileNotFoundError(f"The settings file {file}, named by LIANDONG_CONFIG, has not been written within {patience_s:g} s.")
        await asyncio.sleep(0.05)
    return load_settings()
