"""Figures for Prometheus: what the workers say, what the installation holds, what this web process serves."""
