"""Dropout (Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html).

No mask is compared with another: any way of drawing it that has the right probabilities is right.
The mask is read off the student's own output.  Given the mask the numbers are exact, and the mask
itself is counted: how much it keeps, and whether neighbors, rows and calls are independent.
"""

from autograder.task import Assignment

ASSIGNMENT = Assignment("dropout", "Dropout", page="book/dropout", number=2)
