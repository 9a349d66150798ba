"""Mid-training: supervised fine-tuning on self-written solutions, with TRL's `SFTTrainer` in a worker process."""
