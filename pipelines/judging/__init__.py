"""What `kerasae evaluate` measures of codes and of samples, and what each figure means."""
