"""Languages, translation of texts and documents, glossary and translation memory."""
