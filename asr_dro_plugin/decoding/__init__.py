"""From emissions to token ids and text; ``build`` makes the decoder of a YAML."""
