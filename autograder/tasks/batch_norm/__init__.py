"""Declare the assignment on batch normalization (Ioffe and Szegedy 2015).

The paper is https://arxiv.org/abs/1502.03167.  One reference serves all tasks on the layer.
"""

from autograder.task import Assignment

ASSIGNMENT = Assignment("batch_norm", "Batch normalization", page="book/batch_norm", number=3)
