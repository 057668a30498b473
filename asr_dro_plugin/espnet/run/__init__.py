"""The training loop: steps, epochs, validation, what is written on the way."""
