"""Grade submissions, each in a sandbox, one or many at a time, and keep the outcomes."""
