"""From any file to one channel of samples at SAMPLE_RATE; where the speech is.

Imports: base.
"""

SAMPLE_RATE = 16000  # Hz: of the recipe and of every model here
