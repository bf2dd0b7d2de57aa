"""What the chapters share, and what they say about their experiments."""
