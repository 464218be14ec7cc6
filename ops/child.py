"""Runs a program so that it ends with its parent and, where the program refuses root, as somebody else.

Called by path with `python -I -S`, so it imports nothing of the project: `child.py --parent PID --signal N [--as UID:GID | --map UID:GID] -- program …`.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000


def die_with(parent: int, signal_number: int) -> None:
    """Ask the kernel to signal this process when its parent ends (Linux); a parent that is already gone ends it here."""
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the parent ended before its child had started")


def appear_as(uid: int, gid: int) -> None:
    """Enter a user namespace where this user is called `uid:gid`: access to files stays, the name and powers of root go."""
    outside = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outside[0]} 1"), ("gid_map", f"{gid} {outside[1]} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib would triple the time to start
            file.write(text)


def become(uid: int, gid: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main(arguments: list[str]) -> None:
    split = arguments.index("--")
    options = dict(zip(arguments[0:split:2], arguments[1:split:2], strict=True))
    for option, change in (("--map", appear_as), ("--as", become)):
        if option in options:
            uid, gid = options[option].split(":")
            change(int(uid), int(gid))
    if "--parent" in options:
        die_with(int(options["--parent"]), int(options["--signal"]))
    program = arguments[split + 1 :]
    os.execvp(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
