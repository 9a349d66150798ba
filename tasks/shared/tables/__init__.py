"""Parquet tables: written row group by row group under a checked schema, and sorted without loading them."""
