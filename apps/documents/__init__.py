"""Files of strangers, read with bounds: what the readers of several apps share. Knows neither Django nor any other app."""
