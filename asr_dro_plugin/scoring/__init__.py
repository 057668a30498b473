"""Error rates of characters and words, language identification, and the tables that show them."""
