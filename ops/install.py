"""Makes `.venv` and installs exactly what a lock file pins: `python3 ops/install.py requirements.lock`.

Needs nothing but Python 3.11 and pip, so it imports nothing of the project. Debian may lack `ensurepip`: the
environment is made without pip, and the machine's pip installs into it.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed.json"
OLDEST = (3, 11)
HINT = """The dependencies could not be installed from {lock}; what pip says stands above.
- "hashes do not match", "Invalid requirement" or a syntax error: the file is damaged. Restore it: git checkout -- {lock}
- "No space left on device": make room, then run the same command again.
- No connection: check the network or your pip settings (pip config list), then run the same command again.
Nothing was changed outside .venv."""


def fingerprints(lock: Path) -> dict[str, str]:
    """What an installation depends on, to notice when it must be repeated."""
    files = (lock, ROOT / "pyproject.toml")
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def installed() -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def needs_work(wanted: dict[str, str]) -> bool:
    """Whether the environment is missing, broken or of another lock file."""
    known = installed()
    if any(known.get(name) != digest for name, digest in wanted.items()):
        return True
    return subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode != 0


def make_environment() -> None:
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], capture_output=True, check=False).returncode == 0:
        return
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV], check=False)
    if made.returncode != 0:
        sys.exit(f"{VENV} could not be made with {sys.executable}. On Debian: apt-get install python3-venv, or set PYTHON=… to another Python.")


def find_pip() -> list[str]:
    """The machine's pip: of this Python, or any other that can install for another Python (22.3 and later)."""
    commands = [[sys.executable, "-m", "pip"], *([found] for name in ("pip3", "pip") if (found := shutil.which(name)))]
    for command in commands:
        if subprocess.run([*command, "--python", sys.executable, "--version"], capture_output=True, check=False).returncode == 0:
            return command
    sys.exit(f"No pip from 22.3 on for {sys.executable}. On Debian: apt-get install python3-pip, or set PYTHON=… to a Python that has it.")


def install(command: list[str], *arguments: str) -> bool:
    return subprocess.run([*command, "--python", str(PYTHON), "--disable-pip-version-check", "install", "--quiet", *arguments], check=False).returncode == 0


def main() -> None:
    if sys.version_info < OLDEST:
        sys.exit(f"Python {OLDEST[0]}.{OLDEST[1]} or later is needed; this is {sys.version.split()[0]}. Name another: make run PYTHON=python3.11")
    lock = ROOT / sys.argv[1]
    if not lock.is_file():
        sys.exit(f"{lock} is missing. Restore it: git checkout -- {lock.name}")
    wanted = fingerprints(lock)
    if not needs_work(wanted):
        return
    pip = find_pip()
    make_environment()
    kept = {} if installed().get("pyproject.toml") != wanted["pyproject.toml"] else installed()
    STAMP.unlink(missing_ok=True)
    sys.stderr.write(f"Installing what {lock.name} pins into .venv (once) …\n")
    pinned = install(pip, "--require-hashes", "--only-binary", ":all:", "-r", str(lock))
    if not pinned or not install(pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)):
        sys.exit(HINT.format(lock=lock.name))
    STAMP.write_text(json.dumps(kept | wanted), encoding="utf-8")


if __name__ == "__main__":
    main()
