"""Follow-up as a calendar file (iCalendar, RFC 5545): one event a contact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from neurolysis.aftercare.care import AftercarePlan, FollowUp

LINE = 75
"""Octets of a line at most; longer ones are folded (RFC 5545, 3.1)."""


def calendar(plan: AftercarePlan, made: datetime) -> str:
    """The calendar of a plan whose day of procedure is known; empty of events otherwise.

    The same case and contact keep their identifiers, so that a newer file replaces the older one.
    No name and no diagnosis is written: a calendar is read by many.

    Args:
        made: time stamp of the events.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//neurolysis//aftercare//EN", "METHOD:PUBLISH"]
    for item in plan.follow_up:
        if item.date_from is not None and item.date_to is not None:
            lines += _event(plan, item, item.date_from, item.date_to, made)
    return "".join(f"{part}\r\n" for line in (*lines, "END:VCALENDAR") for part in folded(line))


def _event(plan: AftercarePlan, item: FollowUp, first: date, last: date, made: datetime) -> Iterable[str]:
    uid = uuid5(NAMESPACE_URL, f"urn:neurolysis:follow-up:{plan.case_id}:{item.id}")
    return (
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"DTSTAMP:{made:%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{first:%Y%m%d}",
        f"DTEND;VALUE=DATE:{last + timedelta(days=1):%Y%m%d}",
        f"SUMMARY:{escaped(item.title)}",
        f"DESCRIPTION:{escaped(f'{item.what} ({item.how})')}",
        "END:VEVENT",
    )


def escaped(text: str) -> str:
    """Text as a value of a calendar line."""
    for raw, safe in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\r\n", "\\n"), ("\n", "\\n")):
        text = text.replace(raw, safe)
    return text


def folded(line: str) -> Iterator[str]:
    """A line in parts of at most 75 octets; parts after the first begin with a blank."""
    part, room = "", LINE
    for character in line:
        size = len(character.encode())
        if size > room:
            yield part
            part, room = " ", LINE - 1
        part += character
        room -= size
    yield part
