"""What the chapters say about their experiments is true of other seeds, and at a smaller size."""

import inspect

import pytest
import torch
from experiments import (
    batch_norm,
    digits,
    dropout,
    l2,
    l2_optimizers,
    margins,
    mistakes,
    norms,
    norms_relatives,
    practice,
    why,
)

MODULES = {
    "why": (why,),
    "l2": (l2, l2_optimizers),
    "dropout": (dropout,),
    "batch_norm": (batch_norm,),
    "norms": (norms, norms_relatives),
    "practice": (practice,),
    "mistakes": (mistakes,),
}
HALF = {"n_train": 300}
# Claim → number of seeds, as many as its margins need, and the size of the experiment.
SIZES = {
    why.network_memorizes: (12, {**HALF, "record_every": 5}),
    why.right_labels_are_harmless: (10, {**HALF, "epochs": 40, "record_every": 5}),
    why.capacity_cuts_both_ways: (40, {**HALF, "widths": (2, 8, 128), "record_every": 5}),
    why.more_data_help: (8, {"sizes": (150, 600), "steps": 240}),
    why.longer_training_learns_more_mistakes: (8, {**HALF, "epochs": 60}),
    why.best_of_many_flatters: (10, {"trials": 200}),
    why.stopping_helps: (20, {"n_train": 450, "held_out": 150, "record_every": 4}),
    why.double_descent: (10, {**HALF, "widths": (20, 100, 200, 300, 600, 1000)}),
    l2.decay_keeps_wrong_labels_out: (20, HALF),
    l2.wrong_labels_need_large_weights: (8, HALF),
    l2.scores_get_flatter: (10, {"strengths": (0.0, 0.05), "steps": 300}),
    l2.validation_finds_a_strength: (
        14,
        {"n_train": 200, "n_valid": 600, "strengths": (0.0, 1e-2, 1e-1), "epochs": 80},
    ),
    l2_optimizers.adam_decays_by_gradient_size: (10, {}),
    l2_optimizers.strengths_do_not_carry_over: (8, {**HALF, "epochs": 25}),
    l2_optimizers.decay_turns_normalized_weights_faster: (8, {**HALF, "epochs": 30}),
    l2_optimizers.decay_is_a_growing_learning_rate: (6, {"epochs": 3}),
    dropout.train_networks: (
        10,
        {**HALF, "hidden": 96, "drops": (0.0, 0.5, 0.8), "epochs": 50, "record_every": 50},
    ),
    dropout.neighbors_give_dropped_values_away: (6, {}),
    dropout.values_or_channels: (24, {}),
    dropout.stochastic_depth: (24, {}),
    batch_norm.momentum_direction: (20, {}),
    batch_norm.learning_rates: (14, {"rates": (0.01, 0.3, 3.0)}),
    batch_norm.deep_signal: (16, {}),
    batch_norm.initial_scales: (10, {**HALF, "scales": (0.1, 3.0, 10.0), "epochs": 12}),
    batch_norm.forgotten_evaluation: (10, HALF),
    batch_norm.placement: (12, {**HALF, "rates": (0.03,), "epochs": 24}),
    batch_norm.dropout_with_batch_norm: (10, HALF),
    norms.moving_distributions: (20, {**HALF, "epochs": 15}),
    norms.smoothness: (40, {**HALF, "steps": (0.0, 0.5, 1.5)}),
    norms.decay_of_gamma: (48, HALF),
    norms.group_sizes: (24, HALF),
    norms_relatives.norms_on_rows: (14, {}),
    norms_relatives.norms_on_images: (14, {}),
    norms_relatives.pre_and_post: (8, {}),
    norms_relatives.fine_tuning: (16, {}),
    mistakes.costs: (16, {}),
    practice.wrong_labels: (24, {}),
    practice.right_labels: (24, {}),
    practice.calibration: (24, {}),
    practice.forgotten_train_mode: (12, {}),
}
# They run an experiment for claims and say nothing.
HELPERS = {
    why.curves,
    l2.train_digits,
    batch_norm.build,
    norms_relatives.batch_sizes,
    norms_relatives.gradients_before_training,
    mistakes.train,
    practice.both,
}
# The other functions of the chapter on dropout look at the networks that the first one trains.
ABOUT_NETWORKS = {
    dropout.dropout_keeps_wrong_labels_out: lambda networks: (networks,),
    dropout.forgetting_eval_costs_accuracy: lambda networks: (networks[0.5],),
    dropout.units_can_be_missed: lambda networks: (networks, (0.0, 0.5), 4),
    dropout.evaluation_mode_is_close_to_the_average: lambda networks: (networks[0.5], 20),
    dropout.dissent_finds_errors: lambda networks: (networks[0.5], 20),
}


def name(claim):
    """Return module and function."""
    return f"{claim.__module__.rpartition('.')[2]}.{claim.__name__}"


def check(claim, first_seed):
    """Run an experiment at its smaller size; it raises if a sentence is not true."""
    seeds, size = SIZES[claim]
    result = claim(range(first_seed, first_seed + seeds), **size)
    if claim is dropout.train_networks:
        for about, arguments in ABOUT_NETWORKS.items():
            about(*arguments(result))


@pytest.fixture(scope="module")
def all_margins():
    """Collect the margins of all sets of seeds, and print the smallest of each sentence."""
    found = {}
    yield found
    print(f"\nSmallest margins of {len(next(iter(found.values()), []))} sets, in standard errors:")
    for (claim, sentence), values in sorted(found.items(), key=lambda item: min(item[1])):
        failures = sum(value <= margins.STANDARD_ERRORS for value in values)
        print(f"{min(values):8.1f}  {failures:2} failures  {claim}: {sentence}")


@pytest.mark.evidence
@pytest.mark.parametrize("fresh", range(20))
def test_claims_hold_for_fresh_seeds(fresh, all_margins):
    """No sentence fails for any of twenty sets of seeds; the chapters themselves run other seeds.

    Building the book checks every claim on the chapters' seeds, in each run of the tests.
    """
    too_small = []
    print(f"\nMargins, set {fresh}:")
    for claim in SIZES:
        with margins.collected() as found:
            check(claim, first_seed=10_000 + 100 * fresh)
        smallest = {}
        for margin in found:
            smallest.setdefault(margin.sentence, margin)
            smallest[margin.sentence] = min(
                margin, smallest[margin.sentence], key=lambda one: one.found
            )
        for sentence, margin in smallest.items():
            print(f"{margin}  [{name(claim)}]")
            all_margins.setdefault((name(claim), sentence), []).append(margin.found)
        too_small += [margin for margin in found if not margin.large_enough]
    assert not too_small


@pytest.mark.parametrize("chapter", MODULES)
def test_every_claim_is_tried_and_made_in_its_chapter(chapter, root):
    """A claim that nobody tests, or that the chapter does not make, should not be there."""
    public = {
        function
        for module in MODULES[chapter]
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and next(iter(inspect.signature(function).parameters), None)
        in {"seeds", "networks", "runs"}
    } - HELPERS
    tried = {claim for claim in [*SIZES, *ABOUT_NETWORKS] if name(claim).startswith(chapter)}
    assert public == tried
    text = (root / f"book/{chapter}.md").read_text(encoding="utf-8")
    assert [claim for claim in public if f".{claim.__name__}(" not in text] == []


def test_a_claim_that_is_not_true_is_noticed():
    """After two epochs nothing has been memorized, and the check says so."""
    with pytest.raises(AssertionError, match="more labels than are right"):
        why.network_memorizes(range(6), n_train=100, epochs=2)


def test_one_thread_is_set(monkeypatch):
    """On networks this small more threads only wait for each other."""
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    digits.prepare()
    assert asked == [1]
