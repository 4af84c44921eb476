"""Computations in processes of their own: typed errors come back, and a dead process takes nothing along."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from neurolysis.errors import ImageError, InputError, NotFoundError
from neurolysis.workstation.compute import Compute, plain, rebuilt
from neurolysis.workstation.replies import BusyError, SignInError, error_body, status_of


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
