"""Run a measurement in a process of its own, so that its memory is its own, on a number of cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys


def run_apart(arguments, cores=None):
    """The object that ``python ARGUMENTS`` prints as JSON after the word RESULT, on ``cores`` cores (None: all).

    Where the system cannot bind a process to cores, threads alone are limited.
    """
    environment = dict(os.environ)
    if cores is not None:
        environment |= {"NUMBA_NUM_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)}

    def bind():
        if cores is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:cores]))

    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        preexec_fn=bind,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if done.returncode or not lines:
        raise RuntimeError((done.stderr or done.stdout)[-800:])
    return json.loads(lines[-1][6:])


def core_counts():
    """1, and 2 where there are two."""
    return (1, 2) if (os.cpu_count() or 1) > 1 else (1,)
