"""The place in the chapter that findings and hints of this assignment send a student to."""

from autograder.tasks.capstone import ASSIGNMENT

EXERCISE = ASSIGNMENT.section("exercise", "Exercise")
