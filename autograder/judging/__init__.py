"""Run a student's functions, compare what they return with the reference, and say what is wrong."""
