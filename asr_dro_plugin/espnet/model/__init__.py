"""The model that ESPnet trains: losses, the objective's input, scores by group."""
