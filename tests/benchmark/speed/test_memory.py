"""Peak memory in a process of its own.

What runs there comes from the standard library: the fresh process need not find the tests.
"""

import operator
import os

import pytest

from nnunet_cardiac.benchmark.speed.memory import can_measure, growth_in_own_process

MIB = 2**20

pytestmark = pytest.mark.skipif(not can_measure(), reason="this system does not tell the peak memory of a process")

hold = operator.mul  # of a byte and a number: so many bytes, written to
hold_nothing = operator.eq


@pytest.mark.parametrize("mebibytes", [60, 240])
def test_growth_is_what_was_used_at_once(mebibytes):
    found = growth_in_own_process(hold, b"x", mebibytes * MIB, warm_up=hold_nothing)
    assert mebibytes - 4 < found / MIB < mebibytes + 12


def test_memory_used_before_is_not_counted():
    assert growth_in_own_process(hold, b"x", 60 * MIB, warm_up=hold) < 4 * MIB


def test_process_that_the_system_ends_gives_no_number():
    assert growth_in_own_process(os.abort, warm_up=os.getpid) is None


def test_errors_come_through():
    with pytest.raises(TypeError, match="can't multiply sequence by non-int"):
        growth_in_own_process(hold, b"x", "much", warm_up=hold_nothing)
