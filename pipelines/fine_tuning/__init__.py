"""What fine-tuning asks for beyond a head on an encoder, by kind of encoder."""
