"""What a run left in its experiment, read for a report."""
