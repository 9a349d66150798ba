"""What mid-training and RL share: quiet start of TRL, checkpoints, the scoring head, saving."""
