"""Computations in processes of their own: typed errors come back, and a dead process takes nothing along."""

from __future__ import annotations

import asyncio
import asyncio.base_events
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neurolysis.errors import ImageError, InputError, NotFoundError
from neurolysis.records.store import Store
from neurolysis.workstation.answers import Answers
from neurolysis.workstation.compute import Compute, plain, rebuilt
from neurolysis.workstation.replies import BusyError, SignInError, error_body, status_of
from neurolysis.workstation.run import _listen
from neurolysis.workstation.settings import Settings

from .server_kit import Server


@pytest.fixture
def compute() -> Iterator[Compute]:
    found = Compute(1, 60)
    yield found
    found.close()


def double(value: int) -> int:
    return 2 * value


def refuse(value: str) -> None:
    raise ImageError("cannot be trusted", where="ct.nii.gz", found=value, allowed=("a", "b"))


def die() -> None:
    os._exit(7)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def pid() -> int:
    return os.getpid()


def test_values_and_errors_come_back(compute: Compute) -> None:
    assert compute.run(double, 21) == 42
    with pytest.raises(ImageError) as caught:
        compute.run(refuse, "seen")
    error = caught.value
    assert (error.problem, error.where, error.found) == ("cannot be trusted", "ct.nii.gz", "seen")
    assert error.allowed == "a, b"


def test_a_dead_process_is_an_error_and_is_replaced(compute: Compute) -> None:
    with pytest.raises(BusyError, match="ended unexpectedly"):
        compute.run(die)
    assert compute.run(double, 2) == 4


def test_what_takes_too_long_is_given_up() -> None:
    short = Compute(1, 60)
    busy = short.run(pid)
    short._seconds = 0.2
    with pytest.raises(BusyError, match="too long"):
        short.run(sleep, 30)
    end = time.monotonic() + 10
    while Path(f"/proc/{busy}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    state = Path(f"/proc/{busy}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z", "its process has ended"
    short._seconds = 60
    assert short.run(double, 3) == 6
    short.close()


def test_an_error_survives_the_way_as_its_own_kind() -> None:
    for error in (NotFoundError("a", where="b", found=0), SignInError("x"), InputError("y", allowed="z")):
        again = rebuilt(plain(error))
        assert type(again) is type(error)
        assert error_body(again) == error_body(error)


class OwnError(InputError):
    """Of a module that the server does not know."""


def test_an_unknown_kind_becomes_the_nearest_known_one() -> None:
    again = rebuilt(plain(OwnError("p", where="w")))
    assert type(again) is InputError
    assert status_of(OwnError("p")) == 422


def test_what_takes_too_long_takes_nobody_along() -> None:
    both = Compute(2, 60)
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(both.run, sleep, 3)
        time.sleep(0.5)
        with pytest.raises(BusyError):
            both.run(die)
        assert slow.result() is None
    both.close()


def test_a_closed_one_refuses_and_starts_nothing() -> None:
    closed = Compute(1, 60)
    closed.close()
    with pytest.raises(BusyError, match="being stopped"):
        closed.run(double, 1)
    threads = threading.active_count()
    closed._warm()
    assert threading.active_count() == threads


@pytest.mark.parametrize("after_s", [0.0, 0.6])
def test_a_server_stopped_soon_after_its_start_says_nothing(tmp_path: Path, after_s: float) -> None:
    server = Server(tmp_path)
    time.sleep(after_s)  # before its processes are started, and while they start
    assert server.stop() == 0
    assert "".join(server.log) == ""


LOADED = """
import sys
from pathlib import Path
from neurolysis.records.store import Store
from neurolysis.workstation.run import _station
from neurolysis.workstation.server import guarded, make_app
from neurolysis.workstation.settings import Settings
station, workers = _station(Settings(port=1), Store.open(None, Path(sys.argv[1])))
guarded(make_app(station), station)
heavy = ("jax", "scipy", "alembic", "dbos", "nibabel", "SimpleITK", "pydicom", "xarray", "authlib", "argon2")
print(*[name for name in heavy if name in sys.modules])
"""


def test_a_server_on_a_store_that_is_there_starts_without_heavy_libraries(tmp_path: Path) -> None:
    Store.open(None, tmp_path).close()  # the first start makes the tables, for which alembic is needed
    told = subprocess.run(
        [sys.executable, "-c", LOADED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == ""


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """The event loop turns the delay off for the connections of a socket like this one, and no other."""
    with (
        _listen(Settings(port=0)) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        asyncio.base_events._set_nodelay(accepted)  # type: ignore[attr-defined]
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


# ---------------------------------------------------------------- answers that are kept


def counted(folder: Path, told: str, note: str) -> dict[str, str]:
    with Path(note).open("a") as file:
        file.write("x")
    time.sleep(0.2)
    return {"told": told, "case": (folder / "case.yaml").read_text()}


def failing(folder: Path, note: str) -> None:
    with Path(note).open("a") as file:
        file.write("x")
    raise InputError("no", where=str(folder.name))


def case_folder(place: Path, name: str, text: str) -> Path:
    folder = place / name
    folder.mkdir()
    (folder / "case.yaml").write_text(text)
    os.link(place / "image", folder / "image.nii.gz")
    return folder


def test_an_answer_is_worked_out_once_for_the_same_case(compute: Compute, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"voxels")
    note, answers = tmp_path / "note", Answers(compute)
    first, again, other = (case_folder(tmp_path, n, t) for n, t in (("a", "1"), ("b", "1"), ("c", "2")))
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(answers.of, counted, first, "x", str(note)) for _ in range(4)]
        assert {one.result()["case"] for one in asked} == {"1"}
    assert answers.of(counted, again, "x", str(note)) == {"told": "x", "case": "1"}
    assert note.read_text() == "x", "once for all of these"
    assert answers.of(counted, first, "y", str(note))["told"] == "y", "asked something else"
    assert answers.of(counted, other, "x", str(note))["case"] == "2", "another case"
    (tmp_path / "image").unlink()
    (tmp_path / "image").write_bytes(b"others")
    answers.of(counted, case_folder(tmp_path, "d", "1"), "x", str(note))
    assert note.read_text() == "xxxx", "another image"
    assert answers.json(counted, first, "x", str(note)) == b'{"told":"x","case":"1"}'


def test_errors_are_not_kept_and_room_is_bounded(compute: Compute, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"voxels")
    folder, note = case_folder(tmp_path, "a", "1"), tmp_path / "note"
    answers = Answers(compute, most_bytes=100)
    for _ in range(2):
        with pytest.raises(InputError):
            answers.of(failing, folder, str(note))
    assert note.read_text() == "xx"
    for told in ("a", "b", "c", "d", "e", "f", "g"):
        answers.json(counted, folder, told, str(note))
    assert answers._bytes <= 100
    note.unlink()
    answers.json(counted, folder, "g", str(note))
    assert not note.exists(), "the newest is there"
    answers.json(counted, folder, "a", str(note))
    assert note.read_text() == "x", "the oldest was given up"
    answers.json(counted, folder, "z" * 200, str(note))
    answers.json(counted, folder, "z" * 200, str(note))
    assert note.read_text() == "xxx", "what is too large is not kept"
