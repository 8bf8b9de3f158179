"""From the values of a recipe to what is trained."""
