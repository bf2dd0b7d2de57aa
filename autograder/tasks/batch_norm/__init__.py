"""Batch normalization (Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167).

One reference serves all tasks: torch's conventions (biased variance to normalize, unbiased
variance into `running_var`, new = (1 - momentum) * old + momentum * batch), the gradient by
autograd, statistics over every axis but the second.
"""

from autograder.task import Assignment

ASSIGNMENT = Assignment("batch_norm", "Batch normalization", page="book/batch_norm", number=3)
