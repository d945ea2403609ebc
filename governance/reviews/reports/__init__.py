"""Reports on reviews: plots, trends, results, and two reviews compared."""
