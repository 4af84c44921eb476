"""How the workstation's server fares: start, a list of many cases, and many clients at once.

    python benchmarks/measure_server.py                      # start, 10,000 cases, 20 clients for 5 minutes
    python benchmarks/measure_server.py --cases 500 --seconds 20 --clients 5

Prints one JSON object. Runs on a store of its own in a temporary folder.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

LINK = re.compile(r"http://127\.0\.0\.1:(\d+)/#token=(\S+)")
DEMO = "demo-l2-medial-branch"


class Server:
    """A server as users start it; ``ready_s`` from the start of the process to its first answer."""

    def __init__(self, folder: Path, workers: int) -> None:
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "neurolysis",
                "serve",
                "--port",
                "0",
                "--store",
                str(folder),
                "--workers",
                str(workers),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self.process.stdout or ():
            if found := LINK.search(line):
                break
        self.url, token = f"http://127.0.0.1:{found[1]}", found[2]
        assert httpx.get(f"{self.url}/api/health", timeout=30).status_code == 200
        self.ready_s = time.perf_counter() - begun
        self.client = httpx.Client(base_url=self.url, timeout=120)
        assert self.client.post("/api/session", json={"token": token}).status_code == 200

    def kill(self) -> None:
        """As a power cut would, in the middle of writing."""
        self.client.close()
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


def fill(folder: Path, count: int) -> float:
    """Cases written one by one through the store, as a site would gather them; seconds."""
    from neurolysis.case import Case
    from neurolysis.records.store import Store, local_principal

    store, who, dice = Store.open(None, folder), local_principal(), random.Random(7)  # noqa: S311
    begun = time.perf_counter()
    for number in range(count):
        patient = {"id": f"patient-{number % (count // 2 + 1)}", "birth_year": dice.randint(1930, 2000)}
        target = {
            "nerve": "lumbar_medial_branch_L2",
            "side": dice.choice(["left", "right"]),
            "bony_level": "L3",
            "joint": "L2-3",
        }
        title = " ".join(dice.choices(["lumbar", "knee", "pain", "chronic", "left", "right", "facet"], k=4))
        store.create_case(
            who,
            Case.model_validate(
                {"id": f"case-{number}", "title": title, "patient": patient, "target": target}
            ),
        )
    store.close()
    return time.perf_counter() - begun


def written_when_killed(server: Server) -> None:
    """End a server with kill -9 while it saves drafts."""
    timer = threading.Timer(0.5, server.process.kill)
    timer.start()
    try:
        while True:
            server.client.put("/api/cases/case-0/draft/case-evaluate", json={"typed": "x" * 1000})
    except httpx.HTTPError:
        server.kill()
    timer.join()


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def listed(server: Server, times: int) -> dict[str, float]:
    """Milliseconds of one client that lists, pages and searches."""
    took = []
    for number in range(times):
        query = [{}, {"offset": 200 * (number % 40)}, {"query": "knee left"}, {"query": f"case-{number}"}][
            number % 4
        ]
        begun = time.perf_counter()
        assert server.client.get("/api/cases", params=query).status_code == 200
        took.append(1000 * (time.perf_counter() - begun))
    return {
        "requests": times,
        "median_ms": percentile(took, 0.5),
        "p95_ms": percentile(took, 0.95),
        "worst_ms": max(took),
    }


def mixed(server: Server, clients: int, seconds: float) -> dict[str, object]:
    """Clients that list, read, save, draw and simulate, all in the same session, for a while."""
    took: dict[str, list[float]] = {}
    codes: Counter[int] = Counter()
    lock, end = threading.Lock(), time.monotonic() + seconds

    def note(kind: str, answer: httpx.Response, begun: float) -> None:
        with lock:
            took.setdefault(kind, []).append(1000 * (time.perf_counter() - begun))
            codes[answer.status_code] += 1

    def one(number: int) -> None:
        dice = random.Random(number)  # noqa: S311
        with httpx.Client(base_url=server.url, cookies=server.client.cookies, timeout=120) as client:
            while time.monotonic() < end:
                kind = dice.choices(
                    ["list", "read", "draft", "save", "scene", "xray", "evaluate", "simulate"],
                    [30, 30, 15, 8, 6, 6, 4, 1],
                )[0]
                begun = time.perf_counter()
                note(kind, act(client, kind, dice), begun)
                time.sleep(dice.uniform(0.05, 0.5))

    threads = [threading.Thread(target=one, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = {
        kind: {"requests": len(v), "median_ms": percentile(v, 0.5), "p95_ms": percentile(v, 0.95)}
        for kind, v in sorted(took.items())
    }
    jobs = Counter(job["state"] for job in server.client.get("/api/jobs").json())
    return {
        "clients": clients,
        "seconds": seconds,
        "codes": dict(codes),
        "server_errors": sum(n for c, n in codes.items() if c >= 500),
        "by_kind": rows,
        "jobs": dict(jobs),
    }


def act(client: httpx.Client, kind: str, dice: random.Random) -> httpx.Response:
    """One request; a save that comes too late answers 409, which is right."""
    case_id = f"case-{dice.randrange(100)}"
    if kind == "list":
        return client.get("/api/cases", params={"query": dice.choice(["", "knee", "left"])})
    if kind == "read":
        return client.get(f"/api/cases/{case_id}")
    if kind == "draft":
        return client.put(f"/api/cases/{case_id}/draft/case-evaluate", json={"typed": dice.random()})
    if kind == "save":
        found = client.get(f"/api/cases/{case_id}").json()
        case = {**found["case"], "notes": str(dice.random())}
        return client.put(
            f"/api/cases/{case_id}", json={"case": case}, headers={"if-match": str(found["version"])}
        )
    if kind == "simulate":
        numerics = {"finest_mm": 1.5, "extent_mm": 20.0, "coarsest_mm": 5.0, "time_step_s": 5.0}
        return client.post(f"/api/cases/{DEMO}/simulate", json={"case_version": 1, "numerics": numerics})
    if kind == "xray":
        return client.post(
            f"/api/cases/{DEMO}/fluoroscopy", json={"lao_deg": dice.uniform(-90, 90), "columns": 256}
        )
    return client.get(f"/api/cases/{DEMO}/{'scene' if kind == 'scene' else 'evaluation'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="neurolysis-bench-") as name:
        folder = Path(name)
        filled = fill(folder, told.cases)
        starts, restarts = [], []
        for _ in range(told.starts):
            server = Server(folder, 0)
            starts.append(server.ready_s)
            written_when_killed(server)
            server = Server(folder, 0)
            restarts.append(server.ready_s)
            server.stop()
        server = Server(folder, told.workers)
        try:
            lists = listed(server, 200)
            server.client.post("/api/cases", json={"demo": "medial-branch"})
            load = mixed(server, told.clients, told.seconds)
        finally:
            server.stop()
    print(
        json.dumps(
            {
                "machine": platform.platform(),
                "cases": told.cases,
                "cases_written_per_s": told.cases / filled,
                "ready_s": {"first": starts[0], "median": percentile(starts, 0.5), "worst": max(starts)},
                "ready_after_kill_s": {"median": percentile(restarts, 0.5), "worst": max(restarts)},
                "list": lists,
                "mixed": load,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
