"""Translation around the model: what must not change is taken out, checked and put back. Knows neither Django nor models."""
