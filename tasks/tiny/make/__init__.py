"""Makes the embedded models from nothing, measures them and writes their cards."""
