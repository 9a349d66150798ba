"""The report of reinforcement mid-training: many checkpoints, the paper's tables beside ours, its claims tested."""
