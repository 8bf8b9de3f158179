"""Command line: commands and flags made from recipes, ranges of values, and printed lists."""
