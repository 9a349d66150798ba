"""How the transformers engine decodes: also the rollouts of training on a CPU."""
