"""A YAML's stack: its names, its rules, its sizes, its frames, without building it."""
