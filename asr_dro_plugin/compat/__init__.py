"""What other packages need to work here, one file a package; imported only when asked for."""
