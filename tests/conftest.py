"""Settings for all tests."""

import torch

# Threads that wait for each other on a busy machine take longer than the work.
torch.set_num_threads(1)
