"""What is measured: our engine and its peers, each a process that answers lines of JSON (see `protocol`)."""
