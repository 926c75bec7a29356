"""Plain values of batches, the numbers behind their charts, what of a result is counted. No Django."""
