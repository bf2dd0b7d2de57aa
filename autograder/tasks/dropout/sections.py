"""Name the places in the chapter that findings and hints send a student to."""

from autograder.tasks.dropout import ASSIGNMENT

MASK = ASSIGNMENT.section("mask", "The mask")
SCALING = ASSIGNMENT.section("scaling", "Inverted scaling")
BACKWARD = ASSIGNMENT.section("backward", "The backward pass")
MODES = ASSIGNMENT.section("modes", "Training and evaluation")
PYTORCH = ASSIGNMENT.section("pytorch", "In PyTorch")
MONTE_CARLO = ASSIGNMENT.section("monte-carlo", "Monte Carlo dropout")
