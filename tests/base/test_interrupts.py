"""The first signal is a wish, the second acts."""

from __future__ import annotations

import os
import signal

import pytest

from tda_nerfstudio.base.interrupts import signals_deferred


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_nothing_stops(number):
    noted, before = [], signal.getsignal(number)
    with signals_deferred(noted.append):
        os.kill(os.getpid(), number)
        noted.append("went on")
    assert noted == [number, "went on"] and signal.getsignal(number) is before


def test_the_second_signal_acts_at_once():
    given = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background starts without one
    try:
        with pytest.raises(KeyboardInterrupt), signals_deferred(lambda number: None):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, given)


def test_handlers_come_back_after_an_error():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError), signals_deferred(print):
        raise ValueError
    assert signal.getsignal(signal.SIGTERM) is before
