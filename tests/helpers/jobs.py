"""Submissions that grading has no answer to; workers of a cluster import this module too."""

import os
import signal
import time

from autograder.grading.job import Job


class Deadly(Job):
    """A submission that takes its worker with it, not only its sandbox."""

    def observe(self):
        """Kill this process."""
        os.kill(os.getpid(), signal.SIGKILL)


class Faulty(Job):
    """A submission that grading fails for."""

    def observe(self):
        """Fail as nobody expected."""
        raise ArithmeticError("nobody thought of this")


class Silent(Job):
    """A submission that its worker never comes back from."""

    def observe(self):
        """Wait, and do not end when asked to."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        time.sleep(10_000)
