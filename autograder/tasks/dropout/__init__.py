"""Declare the assignment on dropout (Srivastava et al. 2014).

The paper is https://jmlr.org/papers/v15/srivastava14a.html.  No mask is compared with another,
because every way of drawing it with the right probabilities is right.  The mask is read off the
student's own output.  Given that mask, all numbers are exact.  Counts tell how much the mask keeps,
and whether neighbors, rows and calls are independent.
"""

from autograder.task import Assignment

ASSIGNMENT = Assignment("dropout", "Dropout", page="book/dropout", number=2)
