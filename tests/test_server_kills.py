"""A server killed while it is written to: what it has acknowledged is there afterwards, and nothing half."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import httpx
import pytest

from neurolysis.records.store import Store

from .server_kit import Server, small_case

WRITERS = 3


class Writer(threading.Thread):
    """Makes cases and saves them again and again; remembers what was acknowledged."""

    def __init__(self, server: Server, client: httpx.Client, number: int, name: str) -> None:
        super().__init__(daemon=True)
        self.url, self.cookies = server.url, client.cookies
        self.case_id = f"case-{name}-{number}"
        self.acknowledged: tuple[int, str] | None = None
        self.asked: set[str] = set()

    def run(self) -> None:
        try:
            with httpx.Client(base_url=self.url, cookies=self.cookies, timeout=30) as client:
                made = client.post("/api/cases", json={"case": small_case(self.case_id, notes="0")})
                if made.status_code == 201:
                    self.acknowledged = (1, "0")
                while self.acknowledged is not None:
                    self._save(client)
        except httpx.HTTPError:
            return

    def _save(self, client: httpx.Client) -> None:
        assert self.acknowledged is not None
        version, notes = self.acknowledged[0], str(time.time_ns())
        self.asked.add(notes)
        body = {"case": small_case(self.case_id, notes=notes)}
        answer = client.put(f"/api/cases/{self.case_id}", json=body, headers={"if-match": str(version)})
        assert answer.status_code == 200, answer.text
        self.acknowledged = (answer.json()["version"], notes)


def _round(folder: Path, dice: random.Random, name: str) -> int:
    """One server, killed at some moment; how many versions were acknowledged."""
    server = Server(folder)
    client = server.client()
    writers = [Writer(server, client, number, name) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    _begun(writers)
    time.sleep(dice.uniform(0, 0.5))
    server.kill()
    for writer in writers:
        writer.join(timeout=60)
    client.close()
    _check(folder, writers)
    return sum(writer.acknowledged[0] for writer in writers if writer.acknowledged)


def _begun(writers: list[Writer]) -> None:
    end = time.monotonic() + 60
    while not any(writer.acknowledged for writer in writers):
        assert time.monotonic() < end, "nothing was written"
        time.sleep(0.01)


def _check(folder: Path, writers: list[Writer]) -> None:
    from neurolysis.records.store import local_principal

    store = Store.open(None, folder)
    assert [one for one in store.check() if one.severity == "error"] == []
    for writer in writers:
        if writer.acknowledged is None:
            continue
        version, notes = writer.acknowledged
        assert store.read_case(local_principal(), writer.case_id, version).case.notes == notes
        now = store.read_case(local_principal(), writer.case_id)
        assert now.version in (version, version + 1), "at most the save that was cut was kept"
        assert now.case.notes in {notes, *writer.asked}
    store.close()


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    assert _round(tmp_path, random.Random(1), "a") >= 1  # noqa: S311


@pytest.mark.verify
def test_what_was_acknowledged_survives_many_kills(tmp_path: Path) -> None:
    dice = random.Random(2)  # noqa: S311
    written = [_round(tmp_path, dice, f"r{number}") for number in range(40)]
    assert min(written) >= 1
