"""Probes, fine-tuned classifiers and baselines on labelled subsets, and their tables."""
