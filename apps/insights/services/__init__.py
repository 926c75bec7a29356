"""What messages and conversations are found to be: language, mood, intent, meaning, summaries, translations."""
