"""RL: GRPO with a 0/1 correctness reward, with TRL's `GRPOTrainer` in a worker process."""
