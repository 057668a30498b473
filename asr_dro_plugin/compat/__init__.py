"""What other packages need to work here, one file a package; nothing is imported until asked for."""
