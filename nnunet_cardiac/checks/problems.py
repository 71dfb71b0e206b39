"""Collects problems, so that a user corrects all of them at once and not one a run."""

from __future__ import annotations

from nnunet_cardiac.errors import UserError

#: More lines than fit on a screen hide the first ones, which usually explain the rest.
MAX_SHOWN = 20


class Problems:
    """A list of messages, each naming the file, what was found, what was expected and how to fix it."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def add(self, message: str) -> None:
        """Note one problem."""
        self._messages.append(message)

    def raise_if_any(self, subject: str) -> None:
        """Raise all problems as one error.

        Args:
            subject: What was checked; the first words of the message.

        Raises:
            UserError: If a problem was added; with at most :data:`MAX_SHOWN` of them and the number of the others.
        """
        count = len(self._messages)
        if count == 0:
            return
        lines = [f"{subject}: {count} problem{'s' if count > 1 else ''} found"]
        lines += [f"  - {message}" for message in self._messages[:MAX_SHOWN]]
        if count > MAX_SHOWN:
            lines.append(f"  ... and {count - MAX_SHOWN} more; correct these and check again.")
        raise UserError("\n".join(lines))
