"""What a reader of a result should know: one text for the JSON file, and details that only the terminal shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nnunet_cardiac.inference.private_names import holds_identifier

_HIDDEN = "A message names files or series and is not repeated here; the log of the run has it."

#: Paths, and the description that follows the number of a series.
_DETAILS = re.compile(r"[/\\]|\.(dcm|ima|nii|nrrd|mha|mhd)\b|[Ss]eries \S+ \((?!\d+ images?\))")

#: Characters of an identifier that is looked for in sentences.
_TELLING = 4


@dataclass(frozen=True)
class Note:
    """A message with a part that must not be kept.

    Attributes:
        text: A sentence without path, file name, description, date or number of the patient. Goes to the JSON file.
        detail: Whatever helps the person who runs the program. Goes to the log only.
    """

    text: str
    detail: str = ""

    def __str__(self) -> str:
        """Both parts, for the log."""
        return f"{self.text} ({self.detail})" if self.detail else self.text


def for_record(notes: Iterable[Note | str], private: Iterable[str] = ()) -> list[str]:
    """Return the texts that a JSON file may hold.

    Of a :class:`Note` that is its text. A plain string is taken if nothing in it looks like a path, a file or a
    description; whatever the source, a text that holds an identifier is not taken.

    Args:
        notes: Messages.
        private: What identifies the patient.
    """
    # Short numbers are in every sentence.
    telling = [value for value in private if len(re.sub(r"\W", "", value)) >= _TELLING]
    texts = []
    for note in notes:
        text = note.text if isinstance(note, Note) else note
        hidden = isinstance(note, str) and _DETAILS.search(text)
        texts.append(_HIDDEN if hidden or holds_identifier(text, telling) else text)
    return list(dict.fromkeys(texts))
