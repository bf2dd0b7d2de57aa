"""From files to notebooks: the exercises that we wrote, and whatever students hand in."""
