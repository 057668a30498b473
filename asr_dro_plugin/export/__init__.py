"""Products of a trained experiment that leave the recipe: the packed model and its card."""
