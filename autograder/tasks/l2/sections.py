"""Name the places in the chapter that findings and hints send a student to."""

from autograder.tasks.l2 import ASSIGNMENT

PENALTY = ASSIGNMENT.section("penalty", "The penalty")
GRADIENT = ASSIGNMENT.section("gradient", "The gradient")
SOFTMAX = ASSIGNMENT.section("softmax", "With a classifier: softmax regression")
UPDATE = ASSIGNMENT.section("update", "The update")
ADAM = ASSIGNMENT.section("adam", "Adam and AdamW")
WHAT_NOT = ASSIGNMENT.section("what-not", "What not to decay")
WRONG = ASSIGNMENT.section("wrong", "What goes wrong")
OVERFLOW = ASSIGNMENT.section("overflow", "Scores that overflow")
