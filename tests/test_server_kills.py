"""A server killed while it is written to: what it has acknowledged is there afterwards, and nothing half."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from neurolysis.records.store import Store
from neurolysis.workstation.jobs import JobBook, job_urls

from .server_kit import COARSE, Server, small_case

WRITERS = 3
KILLS = int(os.environ.get("NEUROLYSIS_TEST_KILLS", "200"))


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


def _round(folder: Path, dice: random.Random, name: str, url: str | None = None, jobs: int = 0) -> int:
    """One server, killed at some moment; how many writes were acknowledged. With jobs, one may be running."""
    server = Server(folder, workers=jobs, env={"NEUROLYSIS_DATABASE_URL": url} if url else None)
    assert server.ready_s < 30
    client = server.client()
    asked = _job(client) if jobs else None
    writers = [Writer(server, client, number, name) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    _begun(writers)
    time.sleep(dice.uniform(0, 0.5))
    server.kill()
    for writer in writers:
        writer.join(timeout=60)
    client.close()
    _check(folder, writers, url)
    if asked is not None:
        _check_job(folder, url, asked)
    return sum(writer.acknowledged[0] for writer in writers if writer.acknowledged)


DEMO = "demo-l2-medial-branch"


def _job(client: httpx.Client) -> str:
    """The id of a job that is acknowledged and has not ended: the last one, or a new one."""
    if client.get(f"/api/cases/{DEMO}").status_code == 404:
        assert client.post("/api/cases", json={"demo": "medial-branch"}).status_code == 201
    for job in client.get("/api/jobs", params={"case": DEMO}).json():
        if job["state"] in ("queued", "running"):
            return str(job["job_id"])
    answer = client.post(f"/api/cases/{DEMO}/simulate", json={"case_version": 1, "numerics": COARSE})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def _check_job(folder: Path, url: str | None, job_id: str) -> None:
    """The job is in the book; there are as many plans as jobs that are done, or one more just being noted."""
    from neurolysis.records.store import local_principal

    store = Store.open(url, folder)
    book = JobBook(job_urls(store.engine.url.render_as_string(hide_password=False), folder)[0])
    assert book.read(job_id).case_id == DEMO
    done = [one.plan_number for one in book.of_case(DEMO, 1000) if one.state == "done"]
    plans = [one.number for one in store.list_plans(local_principal(), DEMO)]
    assert plans == list(range(1, len(plans) + 1))
    assert sorted(number for number in done if number) == plans[: len(done)], "no step was done twice"
    assert len(plans) - len(done) in (0, 1)
    book.close()
    store.close()


def _begun(writers: list[Writer]) -> None:
    end = time.monotonic() + 60
    while not any(writer.acknowledged for writer in writers):
        assert time.monotonic() < end, "nothing was written"
        time.sleep(0.01)


def _check(folder: Path, writers: list[Writer], url: str | None) -> None:
    from neurolysis.records.store import local_principal

    store = Store.open(url, folder)
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
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_acknowledged_survives_many_kills(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    """Writers and a job at every kill; ``NEUROLYSIS_TEST_KILLS`` says how many (200)."""
    dice = random.Random(2)  # noqa: S311
    url = request.getfixturevalue("postgres").database() if kind == "postgresql" else None
    written = [_round(tmp_path, dice, f"r{number}", url, jobs=1) for number in range(KILLS)]
    assert min(written) >= 1
    record_property("kills", KILLS)
    record_property("acknowledged_writes_checked", sum(written))
    print(f"{kind}: {KILLS} kills, {sum(written)} acknowledged writes checked, 0 lost")
