"""One supervisor for all processes of an installation on one machine."""
