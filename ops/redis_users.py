"""The Redis users of the services: who may append to which stream, who may read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ops.redis import ADMIN
from shared.streams import acl_rules


@dataclass(frozen=True, slots=True)
class RedisUser:
    """A user and what it may do."""

    name: str
    password: str
    rights: Sequence[str]

    def rules(self) -> list[str]:
        """Rules for `ACL SETUSER` and for the ACL file; the password appears as its SHA-256 only."""
        digest = hashlib.sha256(self.password.encode()).hexdigest()
        return ["resetpass", *self.rights, "on", f"#{digest}"]


def access_lines(admin_password: str, users: Sequence[RedisUser]) -> str:
    """The content of an ACL file: nobody without a name, the administrator, the users.

    Nobody can sign in as `default`, which is off and has no password. It has every right nevertheless: Valkey 8.1 reads the append-only file
    in its name, and would leave out every transaction in it that `default` may not carry out.
    """
    everyone = [RedisUser(ADMIN, admin_password, ("~*", "&*", "+@all")), *users]
    lines = ["user default off resetpass ~* &* +@all", *(f"user {user.name} {' '.join(user.rules())}" for user in everyone)]
    return "\n".join(lines) + "\n"


def user_names(services: Sequence[str], city: str) -> list[str]:
    """Every user that the services need."""
    return [name for service in services for name in acl_rules(service, city)]


def service_users(services: Sequence[str], city: str, passwords: Mapping[str, str]) -> list[RedisUser]:
    """The users of the services: one appends to its own stream only, the other reads and acknowledges only."""
    return [RedisUser(name, passwords[name], rights) for service in services for name, rights in acl_rules(service, city).items()]
