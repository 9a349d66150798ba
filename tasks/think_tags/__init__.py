"""Think tags for a model that has none: two tokens, and a short fine-tuning that teaches what stands between them."""
