"""The parts of `kerasae detect`: which examples, how good, and what is written."""
