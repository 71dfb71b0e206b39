"""The trained systems of the tests of inference, for the scripts that predict."""

from tests.inference.conftest import write_system

__all__ = ["write_system"]
