"""Name the places in the chapter that findings and hints send a student to."""

from autograder.tasks.impostors import ASSIGNMENT

TESTING = ASSIGNMENT.section("testing", "Testing numerical code")
INPUTS = ASSIGNMENT.section("inputs", "Inputs that hide mistakes")
