"""From emissions to token ids and text."""
