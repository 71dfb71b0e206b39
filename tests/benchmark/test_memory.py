"""Peak memory in a process of its own."""

import os
import signal

import pytest

from nnunet_cardiac.benchmark.memory import can_measure, growth_in_own_process

MIB = 2**20

pytestmark = pytest.mark.skipif(not can_measure(), reason="this system does not tell the peak memory of a process")


def hold(mebibytes):
    """Use memory and free it again; a page that is not written to takes none."""
    held = bytearray(mebibytes * MIB)
    held[::1024] = b"x" * len(held[::1024])


def hold_little(_mebibytes):
    hold(1)


def die(_mebibytes):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("mebibytes", [60, 240])
def test_growth_is_what_was_used_at_once(mebibytes):
    found = growth_in_own_process(hold, mebibytes, warm_up=hold_little)
    assert mebibytes - 4 < found / MIB < mebibytes + 12


def test_memory_used_before_is_not_counted():
    assert growth_in_own_process(hold, 60, warm_up=hold) < 4 * MIB


def test_process_that_the_system_ends_gives_no_number():
    assert growth_in_own_process(die, 60, warm_up=hold_little) is None


def test_errors_come_through():
    with pytest.raises(TypeError, match="str"):
        growth_in_own_process(hold, "much", warm_up=hold_little)
