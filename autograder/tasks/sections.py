"""The places in the book that findings and hints send a student to."""

from __future__ import annotations

from autograder.task import Section


def _l2(label: str, heading: str) -> Section:
    return Section("book/l2", "L2 regularization and weight decay", f"l2-{label}", heading)


def _dropout(label: str, heading: str) -> Section:
    return Section("book/dropout", "Dropout", f"dropout-{label}", heading)


def _batch_norm(label: str, heading: str) -> Section:
    return Section("book/batch_norm", "Batch normalization", f"batch-norm-{label}", heading)


L2_PENALTY = _l2("penalty", "The penalty")
L2_GRADIENT = _l2("gradient", "The gradient")
L2_SOFTMAX = _l2("softmax", "With a classifier: softmax regression")
L2_UPDATE = _l2("update", "The update")
L2_ADAM = _l2("adam", "Adam and AdamW")
L2_WHAT_NOT = _l2("what-not", "What not to decay")
L2_WRONG = _l2("wrong", "What goes wrong")
L2_OVERFLOW = _l2("overflow", "Scores that overflow")

DROPOUT_MASK = _dropout("mask", "The mask")
DROPOUT_SCALING = _dropout("scaling", "Inverted scaling")
DROPOUT_BACKWARD = _dropout("backward", "The backward pass")
DROPOUT_MODES = _dropout("modes", "Training and evaluation")
DROPOUT_PYTORCH = _dropout("pytorch", "In PyTorch")
DROPOUT_MONTE_CARLO = _dropout("monte-carlo", "Monte Carlo dropout")

BATCH_NORM_FORWARD = _batch_norm("forward", "The forward pass")
BATCH_NORM_RUNNING = _batch_norm("running", "Running statistics")
BATCH_NORM_EVALUATION = _batch_norm("evaluation", "Evaluation mode")
BATCH_NORM_BACKWARD = _batch_norm("backward", "The backward pass")
BATCH_NORM_CHANNELS = _batch_norm("channels", "Images: one statistic per channel")
BATCH_NORM_PYTORCH = _batch_norm("pytorch", "In PyTorch")
BATCH_NORM_FOLDING = _batch_norm("folding", "Folding at inference")

CAPSTONE = Section("book/practice", "Regularization in practice", "practice-exercise", "Exercise")
