"""Build models and choose epochs from the values of a recipe."""
