"""The parts of `kerasae index`, `search` and `duplicates`: codes and bits, figures, pictures."""
