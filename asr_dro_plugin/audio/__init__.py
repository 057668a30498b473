"""From any file to one channel of samples at the recipe's rate."""

SAMPLE_RATE = 16000  # Hz: of the recipe and of every model here
