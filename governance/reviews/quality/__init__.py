"""How well reviews are answered: care, timings, measures, comparison of two reviews."""
