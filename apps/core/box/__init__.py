"""The box: a process of its own for whatever reads a stranger's file, bounded in memory, time, disk and reach.

`closing` is what the process does to itself before it looks at a byte, `process` how others start it and hear from it.
Neither imports Django. Who has a parser for files of strangers runs it here: documents of the knowledge base
(`knowledge/extract`), documents to translate (`translation/markup`), tables of batches (`batches/tables`).
"""
