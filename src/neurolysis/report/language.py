"""Languages of patient pages: English texts are the keys, other languages are gettext catalogues (.po)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from neurolysis.errors import InputError, UnknownNameError

LOCALE = Path(__file__).parent / "data" / "locale"
ENGLISH = "en"


def languages() -> tuple[str, ...]:
    """Codes of every language, English first."""
    return (ENGLISH, *sorted(path.stem for path in LOCALE.glob("*.po")))


class Translator:
    """Texts in one language.

    Args:
        code: of :func:`languages`.

    Raises:
        UnknownNameError: no such language.
    """

    def __init__(self, code: str) -> None:
        if code not in languages():
            raise UnknownNameError("no such language", found=code, allowed=languages())
        self.code = code

    def __call__(self, text: str, **values: object) -> str:
        """The text in this language with its named values filled in.

        Raises:
            InputError: the catalogue lacks the text; nothing is shown half translated.
        """
        found = text if self.code == ENGLISH else catalogue(self.code).get(text)
        if not found:
            raise InputError("a text is not translated", where=f"locale/{self.code}.po", found=text)
        return found.format(**values) if values else found


@cache
def catalogue(code: str) -> Mapping[str, str]:
    """Translations of one language, by English text."""
    import polib

    return {
        entry.msgid: entry.msgstr for entry in polib.pofile(str(LOCALE / f"{code}.po")) if not entry.obsolete
    }
