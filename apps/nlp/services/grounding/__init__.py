"""Does a source say what a sentence says? Of the bot's replies, and of summaries. Nothing here touches Django."""
