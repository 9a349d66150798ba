"""What pipelines stand on: one run around the stages, calls of stage flows, where they run, what their pages show."""
