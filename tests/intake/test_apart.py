"""Work in another process: what it returns, what it raises, and what it may not take."""

import os
import signal
import time
from threading import Thread

import pytest

from autograder.intake.apart import TooMuchError, apart


def test_it_returns_what_the_function_returns():
    """From another process, the same one each time."""
    first, second = apart(1, os.getpid), apart(1, os.getpid)
    assert first == second != os.getpid()


def test_it_raises_what_the_function_raises():
    """And serves the next request."""
    with pytest.raises(ValueError, match="invalid literal"):
        apart(1, int, "x")
    assert apart(1, int, "7") == 7


def test_what_takes_too_long_is_stopped():
    """Also in code that no Python signal handler could stop; the next request is served."""
    with pytest.raises(TooMuchError):
        apart(0.2, pow, 7, 10**9)
    assert apart(1, int, "7") == 7


def test_only_processor_time_counts():
    """On a busy machine, work may take as long as it takes."""
    assert apart(0.2, time.sleep, 0.5) is None


def test_what_takes_too_much_memory_is_refused():
    """Before the machine is out of it."""
    with pytest.raises(TooMuchError):
        apart(1, bytes, 2**40)
    assert apart(1, int, "7") == 7


def test_a_process_that_was_killed_is_replaced():
    """Nobody's submission suffers for what else happens on the machine."""
    os.kill(apart(1, os.getpid), signal.SIGKILL)
    assert apart(1, int, "7") == 7


def test_what_crashes_the_process_is_refused():
    """As often as it is tried; the next request is served."""
    with pytest.raises(TooMuchError):
        apart(1, os.abort)
    assert apart(1, int, "7") == 7


def test_threads_get_their_own_replies():
    """Formgrader and workers have several."""
    found = {}
    threads = [
        Thread(target=lambda n=n: found.update({n: apart(1, int, str(n))})) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: n for n in range(8)}
