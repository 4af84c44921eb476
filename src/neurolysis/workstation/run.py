"""Running a server: one socket, one store, its workers, and a link to open."""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from neurolysis.errors import InputError, OutputError
from neurolysis.workstation.settings import Settings

if TYPE_CHECKING:
    from neurolysis.records.store import Store
    from neurolysis.workstation.depends import Station
    from neurolysis.workstation.workers import Workers

Say = Callable[[str], None]


def serve(settings: Settings, say: Say) -> None:
    """Serve until the process is asked to end.

    Args:
        say: told the link to open, once the server answers.

    Raises:
        InputError: the address is taken, accounts without a user, or another server on the same folder.
        OutputError: the store cannot be written.
    """
    gc.disable()  # much is made at the start and nothing of it is garbage; see _started
    try:
        _serve(settings, say)
    finally:
        gc.enable()


def _serve(settings: Settings, say: Say) -> None:
    import uvicorn

    from neurolysis.records.store import Store
    from neurolysis.workstation.server import guarded, make_app

    listening = _listen(settings)
    settings = settings.replace(port=listening.getsockname()[1])
    store = Store.open(settings.database_url, settings.folder)
    lock = _only_one(store.folder)
    if settings.accounts and not store.has_users():
        raise InputError(
            "this store has no accounts yet",
            where="--accounts",
            allowed="make one first: neurolysis user add",
        )
    station, workers = _station(settings, store)
    app = guarded(make_app(station, lambda: _started(station, workers.start, say)), station)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        ssl_certfile=str(settings.tls_certificate) if settings.tls_certificate else None,
        ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
        h11_max_incomplete_event_size=64 * 1024,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        workers.stop()
        station.compute.close()
        station.previews.close()
        station.jobs.close()
        store.close()
        os.close(lock)


def _station(settings: Settings, store: Store) -> tuple[Station, Workers]:
    from neurolysis.workstation.answers import Answers
    from neurolysis.workstation.compute import Compute
    from neurolysis.workstation.depends import Station
    from neurolysis.workstation.jobs import JobBook, job_urls
    from neurolysis.workstation.previews import Previews
    from neurolysis.workstation.sessions import Doorkeeper, LaunchToken
    from neurolysis.workstation.workers import Workers

    url = store.engine.url.render_as_string(hide_password=False)
    compute = Compute(settings.compute, settings.limits.compute_seconds)
    station = Station(
        settings=settings,
        store=store,
        compute=compute,
        answers=Answers(compute),
        jobs=JobBook(job_urls(url, store.folder)[0]),
        door=Doorkeeper(settings, store, LaunchToken()),
        previews=Previews(store.folder),
    )
    return station, Workers(settings.workers, url, store.folder)


def _started(station: Station, start_workers: Callable[[], None], say: Say) -> None:
    """The server answers now: say so, and only then start what takes long."""
    gc.freeze()  # what the program is made of is never looked through again
    gc.enable()
    settings = station.settings
    origin = settings.public_url or f"http://{_shown(settings.host)}:{settings.port}"
    say(f"{origin}/" if settings.accounts else f"{origin}/#token={station.door.launch.text}")
    start_workers()
    station.compute.warm(0.5)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # named, for the event loop sends small answers at once only on sockets that say they are TCP; else
    # each answer waits 40 ms for the other side's acknowledgement of its first part
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((settings.host, settings.port))
    except OSError as error:
        found.close()
        raise InputError(
            f"cannot listen here: {error.strerror}", where="--port", found=f"{settings.host}:{settings.port}",
            allowed="another --port, or 0 for any free one",
        ) from error  # fmt: skip
    found.listen(256)
    return found


def _only_one(folder: Path) -> int:
    """Hold the folder: two servers would start the same workers twice.

    A server that was just killed may take a moment to let go.
    """
    file = folder / "server.lock"
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(f"cannot write here: {error.strerror}", where=str(folder)) from error
    for _ in range(20):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except OSError:
            time.sleep(0.1)
    os.close(handle)
    raise InputError(
        "another server uses this store", where=str(folder), allowed="stop it, or another --store"
    )


def log_to_stderr(verbose: bool) -> None:
    """One line a request on standard error; nothing of a patient is in it."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(message)s")
    logging.getLogger("neurolysis.workstation").setLevel(logging.INFO if verbose else logging.WARNING)
