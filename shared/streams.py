"""Names of the streams and what each Redis user may do with them."""

from __future__ import annotations


def stream_name(city: str, service: str) -> str:
    """The stream to which one service appends its events: `events:430300/food`."""
    return f"events:{city}/{service}"


def epoch_name(city: str, service: str) -> str:
    """The key that proves that Redis still holds what was published to the stream: `epoch:430300/food`."""
    return f"epoch:{city}/{service}"


def acl_rules(service: str, city: str) -> dict[str, list[str]]:
    """Rules for `ACL SETUSER` (or an ACL file) of a service's two Redis users, without `on` and the password.

    `<service>-publish` may append to, trim and inspect its own stream and keep its epoch, so a stream's name proves who spoke.
    `<service>-consume` may read and acknowledge every stream of the city, and append to none.
    Valid for Redis 6.2 and later and for Valkey: no selectors, no scripting, no `KEYS` or `SCAN`.
    """
    clean = ["resetkeys", "resetchannels", "-@all", "+ping"]
    publish = ["+xadd", "+xtrim", "+xinfo|groups", "+xinfo|stream", "+xpending", "+get", "+set", "+watch", "+unwatch", "+multi", "+exec", "+discard"]
    consume = ["+xreadgroup", "+xack", "+xautoclaim", "+xgroup|create", "+xpending"]
    return {
        f"{service}-publish": [*clean, f"~{stream_name(city, service)}", f"~{epoch_name(city, service)}", *publish],
        f"{service}-consume": [*clean, f"~events:{city}/*", *consume],
    }
