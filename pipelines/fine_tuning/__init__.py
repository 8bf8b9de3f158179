"""Settings of fine-tuning that only some kinds of encoders have."""
