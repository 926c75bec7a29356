"""Phrases of small talk by kind and language, as people type them. Data only; smalltalk.py compares messages with them.

Phrases stand between bars. Case, accents, punctuation, lengthened letters and a wrong letter in a long word make no
difference, so each is listed once. FILLERS say nothing by themselves and may stand beside any of them.
"""

from __future__ import annotations

PHRASES: dict[str, dict[str, str]] = {
    "greeting": {
        "en": "hi|hello|hey|hiya|howdy|yo|greetings|good morning|good afternoon|good evening|good day|morning|evening"
        "|hi there|hello there|hey there|how are you|how are you doing|how are you today|how is it going|hows it going"
        "|how do you do|whats up|what is up|sup|nice to meet you|dear sir or madam|dear team|hello world|knock knock",
        "pt": "ola|oi|oie|opa|bom dia|boa tarde|boa noite|tudo bem|tudo bom|como vai|como esta|como voce esta|e ai|alo",
        "es": "hola|buenas|buenos dias|buenas tardes|buenas noches|buen dia|que tal|como estas|como esta|como va"
        "|que onda",
        "fr": "bonjour|bonsoir|salut|coucou|bjr|comment allez vous|comment ca va|ca va|comment vas tu"
        "|bonne journee a vous",
        "de": "hallo|guten morgen|guten tag|guten abend|moin|servus|gruss gott|wie geht es|wie geht es ihnen"
        "|wie gehts|wie geht es dir|tag|hallochen|gruezi",
        "zh": "你好|您好|你们好|大家好|嗨|哈喽|哈啰|早|早上好|上午好|中午好|下午好|晚上好|早安|晚安|嘿|你好吗|您好吗"
        "|最近怎么样",
    },
    "thanks": {
        "en": "thanks|thank you|thank u|thankyou|thx|thnx|tks|ty|tysm|cheers|much appreciated|appreciated"
        "|i appreciate it|i appreciate that|many thanks|thanks a lot|thanks so much|thank you so much"
        "|thank you very much|thanks a million|thanks a bunch|you have been very helpful|you have been helpful"
        "|you were very helpful|that was helpful|that is helpful|very helpful|thats helpful|that was very helpful"
        "|that is very helpful|so helpful",
        "pt": "obrigado|obrigada|obg|obgd|brigado|brigada|muito obrigado|muito obrigada|valeu|vlw|agradecido"
        "|agradecida|agradeco|grato|grata|fico grato",
        "es": "gracias|muchas gracias|mil gracias|muchisimas gracias|muy amable|te lo agradezco|se lo agradezco|grax",
        "fr": "merci|merci beaucoup|merci bien|mille mercis|mci|je vous remercie|grand merci|tres aimable",
        "de": "danke|vielen dank|danke schon|dankeschon|danke sehr|besten dank|herzlichen dank|merci vielmal"
        "|ich danke ihnen|danke ihnen|dankesehr|tausend dank",
        "zh": "谢谢|多谢|感谢|非常感谢|十分感谢|谢了|谢啦|谢谢您|谢谢你|谢谢你们|感谢您的帮助|谢谢帮助|麻烦了|辛苦了"
        "|3q|蟹蟹",
    },
    "bye": {
        "en": "bye|bye bye|goodbye|good bye|see you|see ya|see you later|see you soon|cya|later|take care|farewell"
        "|have a nice day|have a good day|have a great day|have a nice evening|have a good evening|have a good weekend"
        "|have a nice weekend|have a good one|good night|talk to you later|ttyl|until next time|i have to go",
        "pt": "tchau|tchauzinho|adeus|ate logo|ate mais|ate breve|ate amanha|ate a proxima|tenha um bom dia"
        "|bom fim de semana|abraco|abracos|falou|fui",
        "es": "adios|chau|chao|hasta luego|hasta pronto|hasta manana|hasta la vista|nos vemos|que tenga un buen dia"
        "|que tengas un buen dia|buen fin de semana|saludos",
        "fr": "au revoir|a bientot|a plus|a plus tard|a demain|adieu|bonne journee|bonne soiree|bon week end"
        "|bonne nuit|bonne fin de journee|ciao",
        "de": "tschuss|tschau|auf wiedersehen|wiedersehen|bis bald|bis spater|bis dann|bis morgen|schonen tag"
        "|schonen tag noch|einen schonen tag|einen schonen tag noch|schonen abend|schonen abend noch|schones wochenende"
        "|gute nacht|ade|mach es gut|machs gut",
        "zh": "再见|拜拜|拜|回见|下次见|回头见|明天见|祝您生活愉快|祝你愉快|88|886",
    },
    "done": {
        "en": "that is all|thats all|that was all|that will be all|thatll be all|that is it|thats it|nothing else"
        "|nothing more|no more questions|no further questions|no other questions|im done|i am done|were done"
        "|we are done|i am good|im good|all good|all set|i am all set|im all set|no that is all|no thats all"
        "|no thank you|no thanks|no i am fine|im fine|i am fine|not right now|not at the moment|nope|nah|nothing|no"
        "|that is all i needed|thats all i needed|that is everything|thats everything|no need|never mind|nevermind|nvm"
        "|forget it|that is all for now|thats all for now",
        "pt": "e so isso|so isso|era so isso|isso e tudo|e tudo|nada mais|mais nada|nao obrigado|nao obrigada"
        "|por enquanto e so|por hoje e so|e so|nao preciso de mais nada|nao tenho mais perguntas|deixa pra la|esquece"
        "|nao|tudo certo",
        "es": "eso es todo|es todo|nada mas|nada|no gracias|ya esta|ya esta todo|por ahora es todo"
        "|no tengo mas preguntas|no necesito nada mas|dejalo|olvidalo|era eso|no|todo bien",
        "fr": "c'est tout|cest tout|ce sera tout|rien d'autre|rien de plus|non merci|plus rien|c'est bon"
        "|pas d'autres questions|pas d'autre question|laisse tomber|laissez tomber|non|tout va bien",
        "de": "das ist alles|das war alles|das wars|das war es|nichts weiter|sonst nichts|nein danke"
        "|keine weiteren fragen|keine fragen mehr|mehr nicht|schon gut|vergiss es|hat sich erledigt|erledigt|nein"
        "|alles gut",
        "zh": "没有了|没了|没事了|就这些|就这样|不用了|不需要了|没有其他问题了|没有别的问题|没别的了|没问题了"
        "|不用谢谢|没有|算了|不用",
    },
    "okay": {
        "en": "ok|okay|okey|k|kk|oki|okey dokey|alright|all right|right|sure|fine|got it|i got it|gotcha|understood"
        "|i see|i understand|makes sense|that makes sense|sounds good|noted|roger|will do|yes|yeah|yep|yup|yes please"
        "|ya|aha|ah|oh|oh ok|hm|hmm|mhm|lol|haha|hehe|hihi|rofl|lmao|wow|that solved it|solved|problem solved|it works"
        "|it works now|works now|now it works|that worked|it worked|that works|that did it|that helps|that helped"
        "|this helps|it helped|that answers my question|that is what i needed|thats what i needed|that is what i wanted"
        "|exactly|i found it|found it|fixed|fixed it|it is fixed|its fixed|resolved|issue resolved|one moment"
        "|just a moment|wait|one second|one sec|brb|test|testing|just testing|this is a test",
        "pt": "certo|ta|ta bom|ta certo|beleza|blz|entendi|entendido|ok entendi|compreendo|sim|claro|com certeza"
        "|combinado|perfeito|funcionou|agora funciona|resolvido|resolveu|deu certo|ajudou|kkk|rs|rsrs|um momento"
        "|so um momento|teste",
        "es": "vale|de acuerdo|entendido|entiendo|ya entendi|claro|si|esta bien|bueno|listo|perfecto|funciono"
        "|ya funciona|ahora funciona|resuelto|solucionado|me sirvio|jaja|jajaja|un momento|prueba",
        "fr": "d'accord|dac|entendu|compris|j'ai compris|je comprends|je vois|oui|ouais|bien sur|parfait|ca marche"
        "|ca marche maintenant|ca fonctionne|c'est resolu|resolu|probleme resolu|c'est note|mdr|un instant|un moment",
        "de": "in ordnung|alles klar|klar|verstanden|verstehe|ich verstehe|ja|jawohl|jo|genau|perfekt|passt|gut"
        "|na gut|es funktioniert|funktioniert|funktioniert jetzt|es geht|es geht jetzt|jetzt geht es|geklappt"
        "|hat geklappt|gelost|problem gelost|einen moment|moment|test",
        "zh": "好|好的|好吧|好哒|好滴|行|可以|可以了|嗯|嗯嗯|恩|哦|噢|知道了|明白|明白了|了解|了解了|懂了|收到|是"
        "|是的|对|对的|没错|解决了|搞定了|好用了|可以用了|哈哈|哈哈哈|呵呵|稍等|等一下|测试",
    },
    "praise": {
        "en": "great|perfect|awesome|super|cool|nice|excellent|amazing|wonderful|fantastic|brilliant|good job"
        "|well done|great job|nice job|good bot|great service|great answer|good answer|perfect answer|you are great"
        "|you are awesome|you are the best|you rock|love it|i love it|i love you|good|very good|so good|lovely|sweet"
        "|impressive|that is great|thats great|that is perfect|thats perfect|that is awesome",
        "pt": "otimo|excelente|maravilha|maravilhoso|legal|show|show de bola|muito bom|que bom|adorei|amei|parabens"
        "|bom trabalho|voce e otimo|incrivel",
        "es": "genial|excelente|estupendo|fantastico|maravilloso|buenisimo|muy bien|muy bueno|que bien|buen trabajo"
        "|me encanta|eres el mejor|increible",
        "fr": "super|genial|excellent|formidable|magnifique|tres bien|bravo|bon travail|c'est super|c'est parfait|top"
        "|nickel|impeccable|j'adore",
        "de": "super|toll|klasse|spitze|prima|wunderbar|ausgezeichnet|hervorragend|sehr gut|gut gemacht|gute arbeit"
        "|geil|top|sehr schon|das ist super|das ist toll",
        "zh": "太好了|很好|真棒|太棒了|厉害|不错|完美|赞|优秀|牛|真好|好极了|很有帮助|有帮助",
    },
    "robot": {
        "en": "are you a robot|are you a bot|are you human|are you a human|are you real|are you a real person"
        "|are you a person|are you an ai|are you ai|are you a machine|are you chatgpt|is this a bot|is this a robot"
        "|is this a real person|is this automated|is this a human|am i talking to a bot|am i talking to a robot"
        "|am i talking to a human|am i talking to a real person|am i speaking to a robot|am i speaking to a human"
        "|am i speaking with a human|am i talking with a bot|who are you|what are you|what is your name|whats your name"
        "|who am i talking to|are you a robot or a human|are you a human or a bot|are you a bot or a human|bot or human"
        "|human or bot|you are a bot|you are a robot|u a bot|are you a computer|are you alive",
        "pt": "voce e um robo|voce e robo|e um robo|voce e humano|voce e uma pessoa|voce e real|voce e uma maquina"
        "|voce e uma ia|estou falando com um robo|estou a falar com um robo|estou falando com uma pessoa|quem e voce"
        "|qual e o seu nome|qual o seu nome|es um robo",
        "es": "eres un robot|eres un bot|es un robot|eres humano|eres una persona|eres real|eres una ia"
        "|eres una maquina|estoy hablando con un robot|estoy hablando con una persona|hablo con un robot|quien eres"
        "|quien es usted|como te llamas|cual es tu nombre",
        "fr": "etes vous un robot|es tu un robot|tu es un robot|vous etes un robot|etes vous humain|es tu humain"
        "|etes vous une personne|etes vous une vraie personne|est ce un robot|c'est un robot|je parle a un robot"
        "|je parle a un humain|parle je a un robot|qui etes vous|qui es tu|comment vous appelez vous"
        "|comment tu t'appelles",
        "de": "bist du ein roboter|bist du ein bot|sind sie ein roboter|sind sie ein bot|sind sie ein mensch"
        "|bist du ein mensch|bist du echt|bist du eine ki|sind sie eine ki|bist du eine maschine|ist das ein bot"
        "|ist das ein roboter|spreche ich mit einem roboter|spreche ich mit einem menschen|rede ich mit einem bot"
        "|wer bist du|wer sind sie|wie heisst du|wie heissen sie",
        "zh": "你是机器人吗|您是机器人吗|你是人吗|你是真人吗|您是真人吗|是真人吗|是机器人吗|你是ai吗|你是人工智能吗"
        "|你是谁|您是谁|你叫什么|你叫什么名字|我在和机器人说话吗|机器人",
    },
    "help": {
        "en": "what can you do|how can you help me|how can you help|what can you help me with|what can you help with"
        "|what do you do|can you help me|can you help|can you help me please|i need help|help|help me|please help"
        "|i need your help|i have a question|i have a question for you|can i ask a question|can i ask you a question"
        "|can i ask you something|may i ask a question|i have a problem|quick question|question",
        "pt": "o que voce faz|o que voce pode fazer|pode me ajudar|voce pode me ajudar|preciso de ajuda|ajuda"
        "|me ajuda|tenho uma pergunta|tenho uma duvida|posso fazer uma pergunta|tenho um problema",
        "es": "que puedes hacer|me puedes ayudar|puedes ayudarme|me ayudas|necesito ayuda|ayuda|tengo una pregunta"
        "|tengo una duda|puedo hacer una pregunta|tengo un problema",
        "fr": "que pouvez vous faire|pouvez vous m'aider|peux tu m'aider|j'ai besoin d'aide|aide|aidez moi"
        "|j'ai une question|puis je poser une question|j'ai un probleme",
        "de": "was kannst du|was konnen sie|kannst du mir helfen|konnen sie mir helfen|ich brauche hilfe|hilfe"
        "|ich habe eine frage|ich hatte eine frage|kann ich etwas fragen|ich habe ein problem|kurze frage|frage",
        "zh": "你能做什么|你会什么|你能帮我吗|可以帮我吗|帮帮我|帮我|我需要帮助|我有一个问题|我有个问题|请问"
        "|能问个问题吗|问个问题|想问一下|咨询一下",
    },
    "present": {
        "en": "is anybody there|is anyone there|anybody there|anyone there|is someone there|is somebody there"
        "|are you there|you there|u there|are you still there|still there|are you online|is anyone online|anyone online"
        "|anybody home|hello is anybody there|anyone here|is anyone here|hello anyone|can anyone hear me"
        "|can you hear me|can you see this|are you listening|still waiting|i am waiting|im waiting|i am still waiting"
        "|im still waiting|is this thing on",
        "pt": "tem alguem ai|alguem ai|ha alguem ai|esta ai|voce esta ai|ainda esta ai|esta online|tem alguem online"
        "|estou esperando|ainda estou esperando|tem alguem|alguem",
        "es": "hay alguien ahi|hay alguien|alguien ahi|estas ahi|esta ahi|sigues ahi|sigue ahi|estas en linea"
        "|alguien me lee|estoy esperando|sigo esperando",
        "fr": "il y a quelqu'un|y a quelqu'un|quelqu'un est la|vous etes la|tu es la|etes vous la|es tu la"
        "|toujours la|allo|vous m'entendez|j'attends|j'attends toujours",
        "de": "ist da jemand|ist jemand da|jemand da|ist hier jemand|sind sie da|bist du da|noch da|sind sie noch da"
        "|bist du noch da|horen sie mich|ich warte|ich warte noch|ich warte immer noch",
        "zh": "有人吗|有人在吗|在吗|在不在|你在吗|您在吗|还在吗|人呢|有没有人|在么|听得到吗|还在等",
    },
    "insult": {
        "en": "you are useless|youre useless|ur useless|useless|useless bot|stupid|stupid bot|you are stupid"
        "|youre stupid|dumb|dumb bot|you are dumb|idiot|you are an idiot|you idiot|moron|you suck|this sucks|sucks"
        "|bad bot|terrible bot|worst bot|you are the worst|you are terrible|you are bad|shut up|screw you|fuck you"
        "|fuck off|fuck|fucking bot|wtf|damn|shit|this is shit|this is bullshit|bullshit|crap|this is crap"
        "|piece of shit|garbage|trash|hate you|i hate you|i hate this bot|i hate bots|what a joke|you are a joke"
        "|rubbish|pathetic|go to hell|asshole|bastard|you are not helpful|you are no help|you are not helping"
        "|you do not understand|you dont understand|you dont understand me|you do not understand me"
        "|you do not understand anything",
        "pt": "inutil|voce e inutil|burro|voce e burro|idiota|estupido|que lixo|lixo|merda|que merda|porra|bosta"
        "|vai se foder|foda se|pessimo|voce nao ajuda|voce nao serve pra nada|voce nao entende nada|robo burro|imbecil"
        "|odeio robo",
        "es": "inutil|eres inutil|idiota|estupido|eres estupido|eres un inutil|tonto|mierda|que mierda|joder|basura"
        "|eres basura|no sirves|no sirves para nada|no entiendes nada|vete a la mierda|imbecil|puta|pesimo|que asco"
        "|carajo",
        "fr": "inutile|tu es inutile|vous etes inutile|idiot|tu es idiot|stupide|tu es stupide|nul|t'es nul|tu es nul"
        "|c'est nul|merde|putain|connard|imbecile|tu ne sers a rien|vous ne servez a rien|tu comprends rien"
        "|tu ne comprends rien|vous ne comprenez rien|ta gueule|quelle merde|bete",
        "de": "nutzlos|du bist nutzlos|idiot|du idiot|dumm|du bist dumm|blod|bloder bot|dummer bot|scheisse"
        "|so ein scheiss|mist|so ein mist|arschloch|verpiss dich|halt die klappe|du verstehst nichts"
        "|sie verstehen nichts|du hilfst mir nicht|unbrauchbar|mull|bescheuert|deppert|du bist schlecht|schlechter bot"
        "|leck mich|fick dich",
        "zh": "垃圾|废物|没用|真没用|你真没用|笨|笨蛋|蠢|傻逼|傻|白痴|智障|滚|去死|妈的|他妈的|什么破|什么玩意|你不懂"
        "|你听不懂|你什么都不懂|没有用|烂|差劲|太差了|无语",
    },
}

FILLERS = (
    "you are|youre|du bist|voce e|eres|tu es|vous etes|sie sind|"
    "you|u|your|the|a|an|so|very|really|much|lot|lots|again|all|everyone|everybody|team|guys|folks|there|please"
    "|pls|plz|then|now|today|too|and|but|just|oh|ah|well|dear|sir|madam|mam|friend|mate|buddy|man|dude|bro|bot"
    "|for me|with me|to me|by the way|btw|for your help|for the help|for helping|for helping me|for your time"
    "|for your answer|for the answer|for your reply|for the reply|for the quick reply|for the quick answer"
    "|for the info|for the information|for everything|for all|for all the help|for that|for this|for your support"
    "|for your patience|for your quick reply|for your quick response|for nothing|for your service|of you|indeed"
    "|actually|also|still|from you|to you|thats|that is|it is|its|this is|in advance|one more time|once more"
    "|i think|muito|mesmo|pela ajuda|por tudo|pelo ajuda|pela resposta|pela atencao|por enquanto|pessoal|gente"
    "|amigo|amiga|senhor|senhora|voce|voces|de novo|mais uma vez|por favor|entao|agora|aqui|e|ne|desde ja|a todos"
    "|por la ayuda|por tu ayuda|por su ayuda|por todo|por la respuesta|por la informacion|de nuevo|entonces|ahora"
    "|y|muy|señor|señora|de antemano|usted|tu|pour votre aide|pour ton aide|pour tout|pour la reponse"
    "|pour votre reponse|encore|a vous|a tous|s'il vous plait|svp|stp|alors|maintenant|et|tres|bien|monsieur"
    "|madame|d'avance|a toi|vous|toi|pour l'aide|pour les informations|fur die hilfe|fur ihre hilfe"
    "|fur deine hilfe|fur alles|fur die antwort|fur die schnelle antwort|nochmal|noch einmal|bitte|dann|jetzt|und"
    "|sehr|zusammen|liebes team|ihnen|dir|im voraus|ja|schon|auch|noch|das|es|ist|da|leute|您|你|你们|您们|啊|呀"
    "|哦|啦|呢|了|的|吧|哈|嘛|么|吗|请|先|大家|亲|帮忙|帮助|的帮助|回答|回复|解答|这么|非常|很|真的|真|太|都|就"
    "|那|也|还"
)

# Yes, said to a question of ours.
AFFIRMATIONS = (
    "yes|yeah|yea|yep|yup|ya|yes please|please|pls|sure|ok|okay|of course|definitely|absolutely|i would|i do|yes i "
    "would|yes i do"
    "|please do|go ahead|do it|that would be great|sounds good|sim|claro|por favor|quero|quero sim|com certeza"
    "|pode ser|si|vale"
    "|por supuesto|quiero|oui|ouais|bien sur|d'accord|volontiers|je veux bien|s'il vous plait|ja|gerne|bitte"
    "|jawohl|ja bitte"
    "|ja gerne|klar|好|好的|是|是的|要|可以|对|行|嗯|好啊|好吧|需要|想|麻烦了|请"
)

# Greetings that are taken off a question even where nothing but a space stands between.
CLEAR_GREETINGS: frozenset[str] = frozenset(
    {
        "hi",
        "hello",
        "hey",
        "hiya",
        "hi there",
        "hello there",
        "hey there",
        "good morning",
        "good afternoon",
        "good evening",
        "ola",
        "oi",
        "bom dia",
        "boa tarde",
        "boa noite",
        "hola",
        "buenos dias",
        "buenas tardes",
        "buenas noches",
        "bonjour",
        "bonsoir",
        "salut",
        "hallo",
        "guten morgen",
        "guten tag",
        "guten abend",
        "moin",
        "你好",
        "您好",
    }
)

# What people mean by a sign of a face or a hand, where it stands alone.
SIGNS: dict[str, str] = {
    "thanks": (
        "\U0001f44d\U0001f64f\U0001f91d\u2764\U0001f44c\U0001f497\U0001f496\U0001f495\U0001f499\U0001f49a\U0001f49c"
        "\U0001f60d\U0001f970\U0001f618"
    ),
    "greeting": "\U0001f44b\U0001f64b",
    "praise": "\U0001f389\U0001f4af\U0001f525\U0001f31f\u2b50\U0001f44f\U0001f973",
    "insult": "\U0001f621\U0001f620\U0001f92c\U0001f595\U0001f44e\U0001f4a9\U0001f624",
}

# Of the first that a message has, in this order, the bot answers.
ORDER = ("insult", "robot", "help", "present", "bye", "done", "thanks", "praise", "greeting", "okay")
