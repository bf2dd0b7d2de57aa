"""Declare the assignment on inputs that give wrong programs away.

An answer here is a handful of inputs.  The reference and its impostors, which are each wrong in
one way, are run on them where the answer is judged; whoever returns something else is exposed.
Killing mutants as a measure of tests: DeMillo, Lipton and Sayward 1978,
https://doi.org/10.1109/C-M.1978.218136.
"""

from autograder.task import Assignment

ASSIGNMENT = Assignment("impostors", "Regularization in practice", page="book/practice", number=6)
