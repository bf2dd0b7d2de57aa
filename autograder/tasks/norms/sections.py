"""Name the places in the chapter that findings and hints send a student to."""

from autograder.tasks.norms import ASSIGNMENT

LAYER = ASSIGNMENT.section("layer", "Layer norm")
LAYER_BACKWARD = ASSIGNMENT.section("backward-layer", "Backward through layer norm")
RMS = ASSIGNMENT.section("rms", "RMSNorm")
RMS_BACKWARD = ASSIGNMENT.section("backward-rms", "Backward through RMSNorm")
GROUP = ASSIGNMENT.section("group", "Group norm and instance norm")
