"""The result of one check of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """OK: nothing to do. WARN: works, with a drawback. FAIL: something will not work."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """What a check found and what to do about it.

    Attributes:
        status: How bad it is.
        check: What was looked at, in a few words.
        message: What was found.
        fix: What to do; empty if nothing.
    """

    status: Status
    check: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{self.status.value:<4}  {self.check}: {self.message}"
        return f"{line}\n      -> {self.fix}" if self.fix else line

    def as_dict(self) -> dict[str, str]:
        """Return the attributes as plain strings, for JSON."""
        return {"status": self.status.value, "check": self.check, "message": self.message, "fix": self.fix}


def ok(check: str, message: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(Status.OK, check, message)


def warn(check: str, message: str, fix: str) -> Finding:
    """Return a finding that works, with a drawback."""
    return Finding(Status.WARN, check, message, fix)


def fail(check: str, message: str, fix: str) -> Finding:
    """Return a finding that will stop the user."""
    return Finding(Status.FAIL, check, message, fix)
