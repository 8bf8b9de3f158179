"""The application: recipes, run directories and the command `kerasae`."""
