"""Features of speech: numpy alone where a service needs them, torch where a model is trained."""
