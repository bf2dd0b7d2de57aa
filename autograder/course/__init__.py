"""Manage a course that nbgrader keeps: release, grade, explain, export and give feedback."""
