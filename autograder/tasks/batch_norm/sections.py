"""Name the places in the chapter that findings and hints send a student to."""

from autograder.tasks.batch_norm import ASSIGNMENT

FORWARD = ASSIGNMENT.section("forward", "The forward pass")
RUNNING = ASSIGNMENT.section("running", "Running statistics")
EVALUATION = ASSIGNMENT.section("evaluation", "Evaluation mode")
BACKWARD = ASSIGNMENT.section("backward", "The backward pass")
CHANNELS = ASSIGNMENT.section("channels", "Images: one statistic per channel")
PYTORCH = ASSIGNMENT.section("pytorch", "In PyTorch")
DROPOUT = ASSIGNMENT.section("dropout", "With dropout")
FOLDING = ASSIGNMENT.section("folding", "Folding at inference")
