"""Declare the assignment on L2 regularization and weight decay.

The penalty is half of weight_decay times the sum of all squared weights.  Decoupled decay works as
in AdamW (Loshchilov and Hutter 2019, https://arxiv.org/abs/1711.05101).
"""

from autograder.task import Assignment

ASSIGNMENT = Assignment("l2", "L2 regularization and weight decay", page="book/l2", number=1)
