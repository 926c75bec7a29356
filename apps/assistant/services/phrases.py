"""What the bot says without a model: fixed sentences, in the languages that small talk is understood in."""

from __future__ import annotations

LANGUAGES = ("en", "zh", "pt", "es", "fr", "de")

PHRASES: dict[str, dict[str, str]] = {
    "not_this": {
        "en": "I could not find an answer to this in our documents: “{}”",
        "zh": "我没有在我们的文档中找到这个问题的答案：“{}”",
        "pt": "Não encontrei nos nossos documentos uma resposta para isto: “{}”",
        "es": "No he encontrado en nuestros documentos una respuesta a esto: «{}»",
        "fr": "Je n’ai pas trouvé de réponse à ceci dans nos documents : « {} »",
        "de": "Dazu habe ich in unseren Dokumenten keine Antwort gefunden: „{}“",
    },
    "no_answer": {
        "en": "I could not find an answer to that in our documents. Would you like to talk to a person? You can "
        "also ask in "
        "other words.",
        "zh": "我没有在我们的文档中找到答案。您想联系人工客服吗？您也可以换一种问法。",
        "pt": "Não encontrei uma resposta para isso nos nossos documentos. Quer falar com uma pessoa? Também pode "
        "perguntar de "
        "outra forma.",
        "es": "No he encontrado una respuesta en nuestros documentos. ¿Quiere hablar con una persona? También "
        "puede preguntarlo "
        "de otra manera.",
        "fr": "Je n'ai pas trouvé de réponse dans nos documents. Souhaitez-vous parler à une personne ? Vous "
        "pouvez aussi poser "
        "la question autrement.",
        "de": "Dazu habe ich in unseren Unterlagen keine Antwort gefunden. Möchten Sie mit einem Menschen "
        "sprechen? Sie können "
        "auch mit anderen Worten fragen.",
    },
    "handoff": {
        "en": "I am passing this conversation to a colleague, who will answer you here.",
        "zh": "我正在把这次对话转交给同事，他们会在这里回复您。",
        "pt": "Vou passar esta conversa a um colega, que responderá aqui.",
        "es": "Paso esta conversación a un compañero, que le responderá aquí.",
        "fr": "Je transmets cette conversation à un collègue, qui vous répondra ici.",
        "de": "Ich gebe dieses Gespräch an einen Kollegen weiter, der Ihnen hier antwortet.",
    },
    "handoff_repeated": {
        "en": "I have not been able to help, so I am passing this conversation to a colleague.",
        "zh": "我没能帮上忙，正在把这次对话转交给同事。",
        "pt": "Não consegui ajudar, por isso vou passar esta conversa a um colega.",
        "es": "No he podido ayudarle, así que paso esta conversación a un compañero.",
        "fr": "Je n'ai pas pu vous aider, je transmets donc cette conversation à un collègue.",
        "de": "Ich konnte nicht helfen und gebe dieses Gespräch an einen Kollegen weiter.",
    },
    "handoff_away": {
        "en": "I cannot answer at the moment, so I am passing this conversation to a colleague.",
        "zh": "我暂时无法回答，正在把对话转给同事。",
        "pt": "Não posso responder neste momento, por isso vou passar esta conversa a um colega.",
        "es": "Ahora mismo no puedo responder, así que paso esta conversación a un compañero.",
        "fr": "Je ne peux pas répondre pour le moment, je transmets donc cette conversation à un collègue.",
        "de": "Ich kann gerade nicht antworten und gebe dieses Gespräch an einen Kollegen weiter.",
    },
    "complaint": {
        "en": "I am sorry about that. Would you like to talk to a person?",
        "zh": "非常抱歉给您带来不便。您想联系人工客服吗？",
        "pt": "Lamento muito. Quer falar com uma pessoa?",
        "es": "Lo siento mucho. ¿Quiere hablar con una persona?",
        "fr": "Je suis désolé. Souhaitez-vous parler à une personne ?",
        "de": "Das tut mir leid. Möchten Sie mit einem Menschen sprechen?",
    },
    "small_talk_greeting": {
        "en": "Hello! What would you like to know?",
        "zh": "您好！您想了解什么？",
        "pt": "Olá! O que gostaria de saber?",
        "es": "¡Hola! ¿Qué le gustaría saber?",
        "fr": "Bonjour ! Que souhaitez-vous savoir ?",
        "de": "Hallo! Was möchten Sie wissen?",
    },
    "small_talk_thanks": {
        "en": "You are welcome! Is there anything else you would like to know?",
        "zh": "不客气！您还想了解什么吗？",
        "pt": "De nada! Gostaria de saber mais alguma coisa?",
        "es": "¡De nada! ¿Le gustaría saber algo más?",
        "fr": "Avec plaisir ! Souhaitez-vous savoir autre chose ?",
        "de": "Gern geschehen! Möchten Sie noch etwas wissen?",
    },
    "small_talk_bye": {
        "en": "Goodbye! Come back whenever you have a question.",
        "zh": "再见！有问题欢迎随时回来。",
        "pt": "Até logo! Volte sempre que tiver uma pergunta.",
        "es": "¡Hasta luego! Vuelva cuando tenga una pregunta.",
        "fr": "Au revoir ! Revenez dès que vous avez une question.",
        "de": "Auf Wiedersehen! Melden Sie sich, wann immer Sie eine Frage haben.",
    },
    "small_talk_done": {
        "en": "All right. I am here whenever you have another question.",
        "zh": "好的。有其他问题时，我随时都在。",
        "pt": "Está bem. Estou aqui quando tiver outra pergunta.",
        "es": "De acuerdo. Aquí estoy cuando tenga otra pregunta.",
        "fr": "Très bien. Je suis là dès que vous avez une autre question.",
        "de": "In Ordnung. Ich bin da, wenn Sie eine weitere Frage haben.",
    },
    "small_talk_okay": {
        "en": "Good. Is there anything else you would like to know?",
        "zh": "好的。您还有其他想了解的吗？",
        "pt": "Ótimo. Gostaria de saber mais alguma coisa?",
        "es": "Bien. ¿Le gustaría saber algo más?",
        "fr": "Bien. Souhaitez-vous savoir autre chose ?",
        "de": "Gut. Möchten Sie noch etwas wissen?",
    },
    "small_talk_praise": {
        "en": "Thank you! Is there anything else you would like to know?",
        "zh": "谢谢夸奖！您还有其他想了解的吗？",
        "pt": "Obrigado! Gostaria de saber mais alguma coisa?",
        "es": "¡Gracias! ¿Le gustaría saber algo más?",
        "fr": "Merci ! Souhaitez-vous savoir autre chose ?",
        "de": "Danke! Möchten Sie noch etwas wissen?",
    },
    "small_talk_robot": {
        "en": "I am an automated assistant: I answer questions from our documents, and can pass you to a person at "
        "any time.",
        "zh": "我是自动助手：我根据我们的文档回答问题，也可以随时为您转接人工客服。",
        "pt": "Sou um assistente automático: respondo a perguntas com base nos nossos documentos e posso passar "
        "para uma pessoa a "
        "qualquer momento.",
        "es": "Soy un asistente automático: respondo a preguntas con nuestros documentos y puedo pasarle con una "
        "persona cuando "
        "quiera.",
        "fr": "Je suis un assistant automatique : je réponds aux questions à partir de nos documents et je peux "
        "vous mettre en "
        "relation avec une personne à tout moment.",
        "de": "Ich bin ein automatischer Assistent: Ich beantworte Fragen aus unseren Unterlagen und kann Sie "
        "jederzeit an einen "
        "Menschen weitergeben.",
    },
    "small_talk_help": {
        "en": "I answer questions from our documents. What would you like to know?",
        "zh": "我根据我们的文档回答问题。您想了解什么？",
        "pt": "Respondo a perguntas com base nos nossos documentos. O que gostaria de saber?",
        "es": "Respondo a preguntas con nuestros documentos. ¿Qué le gustaría saber?",
        "fr": "Je réponds aux questions à partir de nos documents. Que souhaitez-vous savoir ?",
        "de": "Ich beantworte Fragen aus unseren Unterlagen. Was möchten Sie wissen?",
    },
    "small_talk_present": {
        "en": "Yes, I am here. What would you like to know?",
        "zh": "我在。您想了解什么？",
        "pt": "Sim, estou aqui. O que gostaria de saber?",
        "es": "Sí, aquí estoy. ¿Qué le gustaría saber?",
        "fr": "Oui, je suis là. Que souhaitez-vous savoir ?",
        "de": "Ja, ich bin da. Was möchten Sie wissen?",
    },
    "small_talk_insult": {
        "en": "I am sorry that I am not of more help. Would you like to talk to a person?",
        "zh": "很抱歉没能帮上忙。您想联系人工客服吗？",
        "pt": "Lamento não ajudar mais. Quer falar com uma pessoa?",
        "es": "Siento no ser de más ayuda. ¿Quiere hablar con una persona?",
        "fr": "Je suis désolé de ne pas mieux vous aider. Souhaitez-vous parler à une personne ?",
        "de": "Es tut mir leid, dass ich nicht besser helfe. Möchten Sie mit einem Menschen sprechen?",
    },
    "small_talk_sign": {
        "en": "What would you like to know?",
        "zh": "您想了解什么？",
        "pt": "O que gostaria de saber?",
        "es": "¿Qué le gustaría saber?",
        "fr": "Que souhaitez-vous savoir ?",
        "de": "Was möchten Sie wissen?",
    },
    "quote_lead": {
        "en": "Our documents say:",
        "zh": "我们的文档中写道：",
        "pt": "Os nossos documentos dizem:",
        "es": "Nuestros documentos dicen:",
        "fr": "Nos documents indiquent :",
        "de": "In unseren Unterlagen steht:",
    },
    "want_person": {
        "en": "I would like to talk to a person.",
        "zh": "我想联系人工客服。",
        "pt": "Gostaria de falar com uma pessoa.",
        "es": "Me gustaría hablar con una persona.",
        "fr": "Je voudrais parler à une personne.",
        "de": "Ich möchte mit einem Menschen sprechen.",
    },
}
# Those that ask whether the visitor would like to talk to a person.
_OFFERS = ("no_answer", "complaint", "small_talk_insult")
_OFFERED = frozenset(text for name in _OFFERS for text in PHRASES[name].values())


def phrase(name: str, language: str) -> str:
    """Return a fixed sentence in a language ("pt", "pt-BR", "zh-hans"), in English where there is none."""
    by_language = PHRASES[name]
    return by_language.get(language.lower().replace("_", "-").split("-")[0], by_language["en"])


def offers_person(text: str) -> bool:
    """Return whether a message of the bot ends by asking whether the visitor would like to talk to a person."""
    return text.strip() in _OFFERED
