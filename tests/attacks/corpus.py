"""All attacks, in a module for each few kinds."""

from attacks import (
    calls,
    escaping,
    files,
    forged,
    inputs,
    kernel,
    legitimate,
    limits,
    pipes,
    reading,
    resources,
    scoring,
    sessions,
)

ATTACKS = [
    *scoring.ATTACKS,
    *escaping.ATTACKS,
    *pipes.ATTACKS,
    *limits.ATTACKS,
    *calls.ATTACKS,
    *kernel.ATTACKS,
    *resources.ATTACKS,
    *forged.ATTACKS,
    *inputs.ATTACKS,
    *sessions.ATTACKS,
    *files.ATTACKS,
    *reading.ATTACKS,
]
LEGITIMATE = legitimate.ATTACKS
BY_NAME = {attack.name: attack for attack in [*ATTACKS, *LEGITIMATE]}
assert len(BY_NAME) == len(ATTACKS) + len(LEGITIMATE)
