"""The course that nbgrader keeps: release, grade, records, feedback."""
