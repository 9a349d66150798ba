"""Rules that decide whether an answer equals a gold answer; `grading.RULES` has them in order."""
