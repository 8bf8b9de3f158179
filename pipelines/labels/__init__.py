"""Labelled subsets, and figures over several of them."""
