"""Predict memory and time of a large pretraining from a recipe's sizes."""
