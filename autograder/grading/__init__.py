"""Grade submissions: each in a sandbox, one or many at a time, and keep what was found."""
