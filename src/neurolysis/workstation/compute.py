"""Computations in processes of their own, so that the server answers while they run.

A case's images are untrusted: what decodes them may take its process down, but not the server.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from neurolysis.errors import NeurolysisError
from neurolysis.workstation.replies import BusyError

T = TypeVar("T")


class Compute:
    """A pool of processes that keep their caches from one call to the next.

    Args:
        processes: how many computations run at once.
        seconds: after which one is given up.
    """

    def __init__(self, processes: int, seconds: float) -> None:
        self._processes = processes
        self._seconds = seconds
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def run(self, function: Callable[..., T], *args: Any, **more: Any) -> T:
        """What ``function`` returns; it and its arguments must be picklable.

        Raises:
            NeurolysisError: as the function raised it.
            BusyError: it took too long, or its process ended.
        """
        pool = self._started()
        try:
            future: Future[tuple[str, Any]] = pool.submit(_guarded, function, args, more)
            kind, found = future.result(self._seconds)
        except BrokenProcessPool as error:
            self._replace(pool)
            raise BusyError("the computation ended unexpectedly", where=function.__name__) from error
        except TimeoutError as error:
            self._replace(pool)
            raise BusyError(
                "the computation took too long", where=function.__name__, allowed=f"{self._seconds:g} s"
            ) from error
        if kind == "error":
            raise rebuilt(found)
        result: T = found
        return result

    def warm(self) -> None:
        """Start one process and load what computations need; returns at once."""
        self._started().submit(_guarded, load_all, (), {})

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            _kill(pool)

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._processes, multiprocessing.get_context("spawn"), initializer=_prepare
                )
            return self._pool

    def _replace(self, pool: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._pool is pool:
                self._pool = None
        _kill(pool)


def _kill(pool: ProcessPoolExecutor) -> None:
    """End a pool whose work may never end by itself."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.kill()
    pool.shutdown(wait=False, cancel_futures=True)


def _guarded(function: Callable[..., T], args: tuple[Any, ...], more: dict[str, Any]) -> tuple[str, Any]:
    """Errors as plain data: an exception with named arguments does not survive the way back."""
    try:
        return "value", function(*args, **more)
    except NeurolysisError as error:
        return "error", plain(error)


def plain(error: NeurolysisError) -> dict[str, Any]:
    """An error as plain data, with the names of its types from its own upwards."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, NeurolysisError)]
    return {
        **error.as_dict(),
        "found": error.found if error.found is None else str(error.found),
        "kinds": kinds,
    }


def rebuilt(data: dict[str, Any]) -> NeurolysisError:
    """The error again, of the nearest type that is known here."""
    from neurolysis import errors
    from neurolysis.workstation import replies

    kinds = (getattr(errors, name, None) or getattr(replies, name, None) for name in data["kinds"])
    kind = next((one for one in kinds if one not in (None, errors.ConflictError)), NeurolysisError)
    error = kind(data["problem"], where=data["where"], found=data["found"], allowed=data["allowed"])
    assert isinstance(error, NeurolysisError)  # noqa: S101 (for the type checker)
    return error


def _prepare() -> None:
    """What a process does first: it ends when the server does, however that ends."""
    single_threaded()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def single_threaded() -> None:
    """One thread a process for the numerical libraries: the processes themselves are the parallel part."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def load_all() -> None:
    """Import the heavy libraries that most computations use."""
    import neurolysis.app.evaluate
    import neurolysis.app.localize
    import neurolysis.localization.scene_builder
    import neurolysis.planning.make  # noqa: F401
