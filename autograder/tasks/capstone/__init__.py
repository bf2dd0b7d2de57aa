"""Declare the capstone: a network with batch norm, dropout and weight decay."""

from autograder.task import Assignment

ASSIGNMENT = Assignment("capstone", "Regularization in practice", page="book/practice", number=5)
