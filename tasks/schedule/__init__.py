"""Schedule: a whole run of reinforcement mid-training written ahead, to be looked at before it is paid for."""
