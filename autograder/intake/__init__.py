"""Turn files into notebooks: our own exercises, and whatever students hand in."""
