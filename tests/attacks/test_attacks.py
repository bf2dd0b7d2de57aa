"""Every attack of the corpus, graded beside honest work.

Each is a real submission in a real course, graded by `autograder grade`.
"""

import pytest
from attacks.canaries import Canaries
from attacks.corpus import ATTACKS, BY_NAME, LEGITIMATE
from attacks.graded import graded, live
from attacks.reading import EVERYTHING
from attacks.stock import stock_course, stock_score, told

from autograder.sandbox import BACKENDS, DEFAULT

pytestmark = [pytest.mark.sandbox, pytest.mark.filterwarnings("ignore:Object of type")]


def test_a_few_attacks_gain_nothing():
    """One or two of each row; the honest ones beside them get what they earn."""
    attacks = [one for one in BY_NAME.values() if one.quick]
    with Canaries() as canaries:
        found = graded(attacks, canaries).faults(attacks)
    assert not found, "\n".join(found)


def test_canaries_notice(tmp_path):
    """What is written, sent, told or left behind is seen, so that nothing seen means something."""
    import socket

    with Canaries() as canaries:
        canaries.open_to_all()
        assert canaries.reached() == []
        canaries.home_file.write_text("OWNED")
        canaries.marker.write_text("left behind")
        canaries.victims[0].kill()
        canaries.victims[0].wait()
        with socket.create_connection(("127.0.0.1", canaries.names["TCP"])) as one:
            one.sendall(b"stolen")
            one.shutdown(socket.SHUT_WR)
            one.recv(1)
        found = "\n".join(canaries.reached())
        (tmp_path / "page.html").write_text(canaries.secrets["environment"])
        assert canaries.told(tmp_path) == ["environment"]
    for word in ("home folder was changed", "left behind", "was ended", "stolen"):
        assert word in found


def test_live_html_is_noticed():
    """The markup that attacks try to bring into a page would be seen there, and not as text."""
    import html

    assert len(live(EVERYTHING)) > 10
    assert live(f"<pre>{html.escape(EVERYTHING)}</pre>") == []
    assert live("\u202e\x1b[2J")


@pytest.mark.evidence
@pytest.mark.parametrize("sandbox", [one.name for one in BACKENDS.values() if one.isolates])
def test_no_attack_gains_anything(sandbox):
    """All of them: points as honestly earned, nothing read, changed, left behind or live."""
    with Canaries() as canaries:
        result = graded(BY_NAME.values(), canaries, sandbox)
        found = result.faults(BY_NAME.values())
    if sandbox == DEFAULT:
        _print_table(result.points)
    print(
        f"\n{sandbox}: {len(ATTACKS)} attacks and {len(LEGITIMATE)} legitimate submissions; "
        f"the longest took {max(result.seconds.values())} s, "
        f"a grader at most {result.memory / 2**20:.0f} MB"
    )
    assert not found, "\n".join(found)


def _print_table(points):
    """Print each attack with the score of stock nbgrader, where that is harmless, and ours."""
    lines = [f"{'attack':<38}{'stock nbgrader':<34}{'ours':<12}{'earned honestly':<16}"]
    measured = 0
    with Canaries() as canaries:
        course = stock_course(canaries)
        canaries.open_to_all()
        for attack in ATTACKS:
            theirs = "not run unprotected"
            if attack.stock:
                score = stock_score(course, attack, canaries)
                measured += 1
                theirs = "no grade" if score is None else f"{score:g} of 6"
                secrets = told(course, attack, canaries)
                theirs += f", tells {', '.join(secrets)}" if secrets else ""
            ours, honest = (_points(one) for one in (points.get(attack.name), attack.points))
            lines.append(f"{attack.name:<38}{theirs:<34}{ours:<12}{honest:<16}")
        reached = [one for one in canaries.reached() if str(canaries.folder) in one]
    print("", *lines, sep="\n")
    print(f"stock nbgrader was run on {measured}; what was changed meanwhile: {reached}")
    assert measured >= 12


def _points(points):
    return "refused" if points is None else f"{points:g}"
