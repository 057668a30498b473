"""Before the first step: settings judged, weights started from, what stays frozen."""
