"""What everything stands on: files, Kaldi tables, YAML, progress, the command line."""
