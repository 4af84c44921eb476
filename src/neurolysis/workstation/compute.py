"""Computations in processes of their own, so that the server answers while they run.

A case's images are untrusted: what decodes them may take its process down, but not the server, and not
what the other processes are doing.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from neurolysis.errors import NeurolysisError
from neurolysis.workstation.replies import BusyError

T = TypeVar("T")
Outcome = Future[tuple[str, Any]]


class Compute:
    """Processes that keep their caches from one call to the next.

    Args:
        processes: how many computations run at once.
        seconds: after which one is given up.
    """

    def __init__(self, processes: int, seconds: float) -> None:
        self._seconds = seconds
        self._all = [_Process() for _ in range(processes)]
        self._free: queue.LifoQueue[_Process] = queue.LifoQueue()  # the one used last has the fullest caches
        for one in reversed(self._all):
            self._free.put(one)
        self._timer: threading.Timer | None = None

    def run(self, function: Callable[..., T], *args: Any, **more: Any) -> T:
        """What ``function`` returns; it and its arguments must be picklable.

        Raises:
            NeurolysisError: as the function raised it.
            BusyError: it took too long, its process ended, or the server is being stopped.
        """
        try:
            process = self._free.get(timeout=self._seconds)
        except queue.Empty as error:
            raise self._too_long(function) from error
        try:
            kind, found = process.submit(function, args, more).result(self._seconds)
        except (BrokenProcessPool, CancelledError) as error:
            process.drop()
            raise BusyError("the computation ended unexpectedly", where=function.__name__) from error
        except TimeoutError as error:
            process.drop()
            raise self._too_long(function) from error
        finally:
            self._free.put(process)
        if kind == "error":
            raise rebuilt(found)
        result: T = found
        return result

    def warm(self, after_s: float = 0.0) -> None:
        """Start the processes and load what computations need, a little later; returns at once."""
        self._timer = threading.Timer(after_s, self._warm)
        self._timer.daemon = True  # nobody waits for it at the end
        self._timer.start()

    def close(self) -> None:
        """End the processes; what is asked for afterwards is refused."""
        if self._timer is not None:
            self._timer.cancel()
        for one in self._all:
            one.close()

    def _warm(self) -> None:
        """One after the other: the first requests need the processor too."""
        for one in self._all:
            try:
                one.submit(load_all, (), {}).result(self._seconds)
            except (BusyError, BrokenProcessPool, CancelledError, TimeoutError):
                return  # stopped meanwhile, or it died: the next call tells

    def _too_long(self, function: Callable[..., Any]) -> BusyError:
        return BusyError(
            "the computation took too long", where=function.__name__, allowed=f"{self._seconds:g} s"
        )


class _Process:
    """One process, started when it is needed and again after it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._closed = False

    def submit(self, function: Callable[..., Any], args: tuple[Any, ...], more: dict[str, Any]) -> Outcome:
        """Begin; BusyError when it was closed."""
        with self._lock:
            if self._closed:
                raise BusyError("the server is being stopped", where=function.__name__)
            try:
                return self._started().submit(_guarded, function, args, more)
            except BrokenProcessPool:  # it ended while nobody was waiting for it
                self._pool = None
                return self._started().submit(_guarded, function, args, more)

    def drop(self) -> None:
        """End the process; the next call starts another."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            _kill(pool)

    def close(self) -> None:
        """End the process for good."""
        with self._lock:
            self._closed = True
        self.drop()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_prepare)
        return self._pool


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
