"""Models of other systems, read as data: weights, vocabulary and settings become an experiment."""
