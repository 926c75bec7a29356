"""Tables of any size, read and written row by row: CSV, JSON lines, XLSX. No Django."""
