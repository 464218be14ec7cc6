"""Runs a module and says where its processor time went: `python -m bench.sampler OUT MODULE ARGUMENTS…`.

A signal after every millisecond of processor time notes the functions on the stack; unlike a tracer it does not slow small functions down.
"""

from __future__ import annotations

import atexit
import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

INTERVAL_S = 0.001
HERE = str(Path(__file__).resolve().parents[1]) + "/"


def main() -> None:
    out, module = Path(sys.argv[1]), sys.argv[2]
    own: Counter[str] = Counter()
    within: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        names = []
        while frame is not None:
            code = frame.f_code
            names.append(f"{code.co_filename.replace(HERE, '').rpartition('site-packages/')[2]}:{code.co_qualname}")
            frame = frame.f_back
        own[names[0]] += 1
        within.update(set(names))

    def forget(_: int, frame: FrameType | None) -> None:
        own.clear()
        within.clear()

    signal.signal(signal.SIGPROF, sample)
    signal.signal(signal.SIGUSR1, forget)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    atexit.register(lambda: out.write_text(json.dumps({"own": own.most_common(40), "within": within.most_common(400), "samples": own.total()})))
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
