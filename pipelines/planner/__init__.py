"""What a pretraining at scale will cost, counted from a recipe's sizes."""
