"""The command line: commands and flags made of recipes, their ranges, and the lists that are printed."""
