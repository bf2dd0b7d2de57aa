"""Name the place in the chapter that findings and hints send a student to."""

from autograder.tasks.capstone import ASSIGNMENT

EXERCISE = ASSIGNMENT.section("exercise", "Exercises")
