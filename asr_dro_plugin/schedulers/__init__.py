"""Learning rates by optimizer update: plain torch schedulers, one file each."""
