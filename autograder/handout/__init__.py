"""What students get: archives with a notebook and the package, and notebooks that install it."""
