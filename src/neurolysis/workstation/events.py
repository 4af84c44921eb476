"""A job's progress as server-sent events, which a browser takes up again where it was cut."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from neurolysis.workstation.jobs import ENDED, JobBook, JobEvent

LOOK_SECONDS = 0.2
QUIET_SECONDS = 15.0
"""After this long without news a comment keeps the connection open."""


async def stream(
    book: JobBook, job_id: str, after: int, gone: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """Events after number ``after``, until the job has ended or the reader is gone."""
    spoken = time.monotonic()
    yield "retry: 1000\n\n"
    while not await gone():
        news = await asyncio.to_thread(book.events, job_id, after)
        for event in news:
            after, spoken = event.number, time.monotonic()
            yield _text(event)
        if news and news[-1].state in ENDED:
            return
        if not news and (await asyncio.to_thread(book.read, job_id)).state in ENDED:
            return
        if time.monotonic() - spoken > QUIET_SECONDS:
            spoken = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_SECONDS)


def _text(event: JobEvent) -> str:
    data = json.dumps(
        {
            "state": event.state,
            "fraction": event.fraction,
            "message": event.message,
            "at": event.at.isoformat(),
        }
    )
    return f"id: {event.number}\nevent: progress\ndata: {data}\n\n"
