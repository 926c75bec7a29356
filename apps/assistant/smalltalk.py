"""What a visitor says besides questions: greetings, thanks, goodbyes, and asking for a person.

Patterns for English, Chinese and Portuguese. A request for a person inside a negation is not one.
"""

from __future__ import annotations

import re

_GREETING = (
    r"(?:hi|hello|hey|hiya|howdy|good (?:morning|afternoon|evening|day)|greetings|ol[áa]|oi|bom dia"
    r"|boa (?:tarde|noite))(?: there| again| all| everyone| team| bot| guys| everybody| tudo bem)?"
)
_OK = r"(?:ok(?:ay)?|great|perfect|cool|nice|awesome|super|alright|got it|understood|that helps|that helped)"
_THANKS = r"(?:thanks?(?: you)?|thx|ty|cheers|many thanks|much appreciated|obrigad[oa]|valeu)"
_FOR_WHAT = (
    r"(?:[, ]*(?:a lot|so much|very much|a bunch|again|for (?:your|the|all the) (?:help|answer|quick reply)|muito|mesmo"
    r"|that(?:'s| was| is)? (?:very |really )?(?:helpful|great|all|it)|you|everyone|that helps))*"
)
_BYE = (
    r"(?:bye(?:[ -]?bye)?|goodbye|see (?:you|ya)(?: later| soon)?|cya|tchau|até (?:logo|mais|breve)"
    r"|have a (?:nice|good|great) (?:day|evening|weekend|one))"
)
_BYE_WHO = r"(?:[, ]*(?:bye|everyone|all|then|and thanks|for now)){0,2}"
_END = r"[\s!.,;:)(\U0001f300-\U0001faff\u2600-\u27bf~。！，]*"

_SMALL_TALK = {
    "greeting": (
        rf"(?:{_GREETING}{_END})*(?:how are you(?: doing)?(?: today)?[?!. ]*)?"
        rf"|(?:你好|您好|嗨|哈喽|早上好|下午好|晚上好)啊?{_END}"
    ),
    "thanks": (
        rf"(?:(?:{_OK}|yes|no)[, !.]*)?{_THANKS}{_FOR_WHAT}{_END}|{_OK}{_END}"
        rf"|(?:谢谢|多谢|感谢)(?:你|您|你们)?(?:的帮助)?了?{_END}"
    ),
    "bye": rf"(?:(?:{_OK}|{_THANKS})[, !.]*){{0,2}}{_BYE}{_BYE_WHO}{_END}|(?:再见|拜拜|回见){_END}",
}
_SMALL_TALK_RE = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _SMALL_TALK.items()}
_LEADING_GREETING = re.compile(rf"^\s*(?:{_GREETING}\b|你好|您好)[\s!.,:;，。！-]+", re.IGNORECASE)

_KIND = r"(?:(?:real|actual|live|human|support|customer|service|sales|technical) )*"
_WHO = (
    rf"(?:(?:a|an|the|some|another|one of your|your|any) )?{_KIND}(?:person|human(?: being)?|agent|representative|rep"
    r"|operator|someone(?: real| human| else)?|somebody(?: real| else)?|staff(?: member)?|advis[oe]r|supervisor"
    r"|colleague|employee|team member|people|support(?: team| staff)?|customer (?:service|support|care)|manager)"
)
_ASKS = (
    r"\b(?:talk|speak|chat|speaking|talking|connect(?:ed)?|transfer(?:red)?|forward(?:ed)?|hand(?:ed)? (?:me )?over"
    rf"|escalated?|put (?:me )?through|pass me|switch)(?: me| us)?(?: directly| now| please| this)?"
    rf" (?:to|with) {_WHO}\b",
    rf"\b(?:get|give|send|bring|fetch|find|call) (?:me )?{_WHO}\b(?= *(?:$|[.!?,]|please|now|here|on|to help|who))",
    r"\b(?:want|need|prefer|like|have)(?: to (?:have|see|get|reach|contact))? (?:(?:a|an|some|the|another) )?"
    r"(?:real|actual|live|human) (?:person|human|agent|being|representative|operator|support|help)\b",
    rf"\b(?:reach|contact|call|see|ask for) (?:a|an|your|some) {_KIND}"
    r"(?:person|human|agent|representative|operator|supervisor)\b",
    r"\b(?:is|are) there (?:a|an|any|some) (?:real )?(?:person|human|people|humans|agents?)\b",
    r"\b(?:anyone|someone|anybody|somebody)(?: real| else)?(?: that| who| whom)? (?:i|we)"
    r" (?:can|could) (?:talk|speak|chat)\b",
    r"^\W*(?:(?:real|live|human) )*(?:human|agent|operator|representative|person|live chat|customer service"
    r"|talk to (?:a )?human)\W*(?:please|pls|now)?\W*$",
    r"\b(?:can|could|may) (?:someone|somebody|a (?:human|person|colleague)) (?:please )?"
    r"(?:help|call|contact|answer|talk)\b",
    r"\bnot? (?:an? )?(?:bot|robot|machine|chatbot)\b.{0,40}\b(?:person|human|agent)\b",
    r"\b(?:person|human|agent)\b.{0,20}\bnot (?:an? )?(?:bot|robot|machine|chatbot)\b",
    r"\b(?:falar|conversar|contato) com (?:(?:um|uma|o|a|algum|alguma) )?(?:atendente|pessoa|humano|algu[eé]m|agente"
    r"|operador|representante|suporte|gerente)",
    r"\b(?:quero|preciso(?: de)?|gostaria de) (?:um |uma )?"
    r"(?:atendente|atendimento humano|pessoa (?:real|de verdade))",
    r"\batendente\b\W*$|\batendimento humano\b",
)
_ASK_PERSON = re.compile("|".join(_ASKS), re.IGNORECASE)
_ASK_PERSON_CJK = re.compile(
    "(?:转|轉)人工|人工(?:客服|服务|服務)|^人工[。！!]*$|(?:找|要|想|联系|聯繫|请|叫|接)[^。，？]{0,6}(?:真人|人工|客服|经理)"
    "|(?:和|跟|与)[^。，]{0,4}(?:真人|人工|客服)[^。，]{0,4}(?:说|聊|谈|通话|交流)"
)
_REFUSED = re.compile(
    r"\b(?:don't|do not|didn't|did not|not|never|no need|without|won't|instead of|rather than|avoid|before|n[aã]o|sem"
    r"|em vez de)\b[^.!?;,]{0,40}$",
    re.IGNORECASE,
)
_REFUSED_CJK = re.compile("(?:不想|不要|不需要|不用|别|无需|没有)[^。，！？]{0,6}$")
# A question about visitors and conversations is about the product's own work, not a wish of the visitor.
_ABOUT_OTHERS = re.compile(
    r"^\W*(?:how|what|when|where|which|why|who|does|do|is|are|will|can (?:the|your|this|a))\b.{0,60}"
    r"\b(?:visitors?|customers?|the bot|conversations?|users?)\b",
    re.IGNORECASE,
)


def small_talk(message: str) -> str:
    """Return "greeting", "thanks" or "bye" when the message is nothing else, else ""."""
    text = " ".join(message.replace("\u2019", "'").split())
    if not text:
        return ""
    return next((kind for kind, pattern in _SMALL_TALK_RE.items() if pattern.fullmatch(text)), "")


def without_greeting(text: str) -> str:
    """Return one line without the greeting before its question, with single spaces; "" when nothing else is left."""
    text = " ".join(text.split())
    return "" if small_talk(text) else _LEADING_GREETING.sub("", text)


def asks_for_person(message: str) -> bool:
    """True when the visitor asks to be handed to a person, in English, Chinese or Portuguese."""
    text = " ".join(message.replace("\u2019", "'").split())
    if any(_wanted(text, match, _REFUSED_CJK) for match in _ASK_PERSON_CJK.finditer(text)):
        return True
    if _ABOUT_OTHERS.match(text):
        return False
    return any(_wanted(text, match, _REFUSED) for match in _ASK_PERSON.finditer(text))


def _wanted(text: str, match: re.Match[str], refused: re.Pattern[str]) -> bool:
    if match.group().lower().startswith(("not ", "no ")):
        return True  # "not a bot, a person" refuses the bot
    return not refused.search(text[: match.start()]) and not _REFUSED_CJK.search(text[: match.start() + 2])
