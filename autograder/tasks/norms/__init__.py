"""Declare the assignment on the relatives of batch norm.

They are layer norm (Ba, Kiros and Hinton 2016, https://arxiv.org/abs/1607.06450), RMSNorm (Zhang
and Sennrich 2019, https://arxiv.org/abs/1910.07467) and group norm (Wu and He 2018,
https://arxiv.org/abs/1803.08494).
"""

from autograder.task import Assignment

ASSIGNMENT = Assignment(
    "norms", "Why batch norm works, and its relatives", page="book/norms", number=4
)
