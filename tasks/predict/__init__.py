"""Next-token accuracy on held-out documents by tier, with and without reasoning (arXiv 2509.24375, section 4)."""
