"""How different texts are from one another: the Vendi score by n-grams or sentence embeddings, and self-BLEU."""
