"""Anger and complaints without a question: nothing to look for, somebody to talk to."""

from __future__ import annotations

import re

# Said of what went wrong, in six languages. Words that also stand in ordinary questions ("bad", "late") are left out.
_ANGER = re.compile(
    r"\b(?:terrible|horrible|awful|appalling|unacceptable|ridiculous|disgust(?:ing|ed)|outrageous|disgrace(?:ful)?"
    r"|furious|angry"
    r"|fed up|sick of|frustrat(?:ed|ing)|annoy(?:ed|ing)|disappoint(?:ed|ing|ment)|unhappy|upset|worst|useless"
    r"|pathetic|incompetent"
    r"|nightmare|scam(?:mers?|med)?|fraud|rip ?-?off|ripped off|liars?|lied to|never again|waste of (?:time|money)"
    r"|a joke"
    r"|shame on|complain(?:t|ing)?|wtf|what the hell|bullshit|fuck(?:ing|ed)?|crap|shit(?:ty)?|rude"
    r"|p[eé]ssim[oa]|horr[ií]vel|terr[ií]vel|inaceit[aá]vel|absurdo|rid[ií]culo|vergonha|decepcionad[oa]"
    r"|furios[oa]|irritad[oa]"
    r"|reclama(?:r|[cç][aã]o)|palha[cç]ada|descaso|golpe|enganad[oa]|cansad[oa] de|merda|nunca mais"
    r"|p[eé]simo|terrible|inaceptable|rid[ií]culo|verg[uü]enza|decepcionad[oa]|enfadad[oa]|hart[oa] de|estafa"
    r"|queja(?:rme)?"
    r"|nunca m[aá]s|mierda|asco"
    r"|inadmissible|inacceptable|scandaleux|honteux|honte|d[eé][cç]u[es]?|furieu(?:x|se)|en col[eè]re|arnaque|ras "
    r"le bol|marre"
    r"|r[eé]clamation|plainte|nul(?:le)?s?|lamentable|plus jamais"
    r"|schrecklich|furchtbar|unversch[aä]mt(?:heit)?|unm[oö]glich|frechheit|[aä]rgerlich|w[uü]tend|sauer"
    r"|entt[aä]uscht|frustriert"
    r"|betrug|beschwer(?:de|en)|katastrophe|zumutung|nie wieder|scheisse|scheiße|saftladen|inakzeptabel)\b",
    re.IGNORECASE,
)
_ANGER_CJK = re.compile(
    "投诉|垃圾|太差|差劲|失望|气死|愤怒|生气|骗子|欺骗|骗人|恶心|无语|受不了|忍无可忍|再也不|糟糕|离谱|坑人|不负责任|什么态度|态度恶劣|黑店"
)
# Whoever asks or wants something is answered.
_ASKS = re.compile(
    r"[?？]|\b(?:how|what|when|where|which|who|why|can i|could i|may i|do i|should i|can you|could you|would you"
    r"|tell me|show me"
    r"|i want to|i need to|i need a|i want a|i want my|i would like|i'd like|please|refund|return|cancel|exchange"
    r"|replace"
    r"|como|quando|onde|qual|quais|quanto|quem|por ?qu[eê]|posso|quero|preciso|gostaria"
    r"|c[oó]mo|cu[aá]ndo|d[oó]nde|cu[aá]l|cu[aá]nto|qui[eé]n|puedo|quiero|necesito|quisiera"
    r"|comment|quand|o[uù]|quel(?:le)?s?|combien|qui|pourquoi|puis-je|je veux|je voudrais|j'ai besoin"
    r"|wie|wann|wo|welche[rsn]?|wieviel|wer|warum|wieso|kann ich|ich will|ich m[oö]chte|ich brauche)\b",
    re.IGNORECASE,
)
_ASKS_CJK = re.compile(
    "吗|怎么|怎样|如何|什么时候|哪里|哪个|多少|几天|为什么|能不能|可不可以|我要|我想|退款|退货|换货|取消"
)


def complains(message: str) -> bool:
    """Return whether a message is angry or complains, and neither asks nor wants anything."""
    text = " ".join(message.replace("\u2019", "'").split())
    if _ASKS.search(text) or _ASKS_CJK.search(_ANGER_CJK.sub("", text)):
        return False
    return bool(_ANGER.search(text) or _ANGER_CJK.search(text))
