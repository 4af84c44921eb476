"""Typed errors: each says what was found, where, and what is allowed.

Every error a user can cause derives from :class:`NeurolysisError` and carries the exit code of the
command line (documented in ``docs/command-line.md``), so a door never has to guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldProblem:
    """One wrong field of checked data: its path, the problem, what was found, what is allowed (or empty)."""

    path: tuple[str | int, ...]
    problem: str
    found: object
    allowed: str


class NeurolysisError(Exception):
    """Base of all errors this package raises on purpose.

    Args:
        problem: what is wrong, one sentence.
        where: file, field or place in the anatomy; empty when the problem says it.
        found: the offending value as the user gave it.
        allowed: the valid values or range.

    Attributes:
        fields: every wrong field, where checked data had some; a door may say them in its own words.
    """

    exit_code = 1
    fields: tuple[FieldProblem, ...] = ()

    def __init__(
        self,
        problem: str,
        *,
        where: str = "",
        found: object = None,
        allowed: str | Iterable[object] = "",
    ) -> None:
        self.problem = problem
        self.where = where
        self.found = found
        self.allowed = allowed if isinstance(allowed, str) else ", ".join(str(a) for a in allowed)
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [f"{self.where}: {self.problem}" if self.where else self.problem]
        if self.found is not None:
            parts.append(f"found: {self.found}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        return "; ".join(parts)

    def as_dict(self) -> dict[str, str]:
        """The error as plain strings, for ``--json`` output."""
        return {
            "type": type(self).__name__,
            "problem": self.problem,
            "where": self.where,
            "found": "" if self.found is None else str(self.found),
            "allowed": self.allowed,
        }


class InputError(NeurolysisError):
    """A file, field or argument is wrong."""

    exit_code = 2


class ImageError(InputError):
    """An image cannot be read, or its geometry cannot be trusted."""


class FrameMismatchError(ImageError):
    """Two volumes that must share a frame do not."""


class UnknownNameError(InputError):
    """A name is not in its catalogue; lists what is."""


class NotFoundError(InputError):
    """No such object, or one that this user may not know of."""


class ConflictError(InputError):
    """The object was changed since it was read, or is there already; ``current`` is its version now."""

    def __init__(self, problem: str, *, current: int | None = None, where: str = "") -> None:
        self.current = current
        super().__init__(problem, where=where, found=None if current is None else f"version {current}")


class ForbiddenError(NeurolysisError):
    """The user's role may not do this."""

    exit_code = 3


class SafetyStop(NeurolysisError):
    """The plan breaks a rule that stops it (not a mistake in the input's form)."""

    exit_code = 3


class SolverError(NeurolysisError):
    """A solver did not converge or lost a conserved quantity."""

    exit_code = 4


class OutputError(NeurolysisError):
    """A result could not be written; nothing half-written is left behind."""

    exit_code = 5
