"""Statistics of the comparison: unbiased pass@k, bootstrap over questions or documents, paired tests."""
