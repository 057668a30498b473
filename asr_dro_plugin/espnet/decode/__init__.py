"""A trained experiment at work: speech to emissions and transcripts."""
