"""Model serving without Django: the only package that imports torch, sentence_transformers or openvino_genai.

Nothing heavy is imported until a backend is loaded, so `types` and `errors` are cheap for every process.
"""
