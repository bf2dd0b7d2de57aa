"""Stub."""

TASKS = ()
