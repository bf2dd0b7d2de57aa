"""What a student has besides `check`: an overview, and a rehearsal of grading before handing in."""
