"""Sentences to translate, as customers of a shop write them: 20 of each language, each with a number of its own."""

from __future__ import annotations

_ENGLISH = (
    "Where is my order {number}?",
    "I ordered {number} blue jackets on {day} and they have not arrived yet.",
    "Parcel {number} was left with my neighbour {name}, who is on holiday until {day}.",
    "Please cancel order {number} and send the money back to my account.",
    "{name} told me on the phone that the repair would take {number} days.",
    "The battery of model {number} lasts only a few hours, although the page promises a whole day.",
    "How can I change the address of order {number} after I have paid?",
    "My invoice shows {number} euros, but I paid less than that.",
    "The left shoe of pair {number} is larger than the right one.",
    "Could you tell me whether the museum at {number} Station Road is open on {day}?",
    "I have read page {number} of the manual twice and still cannot connect the printer to the network.",
    "Thank you, {name}, the new part number {number} arrived this morning and works well.",
    "We would like to book a table for {number} people on {day} evening.",
    "The colour in photograph {number} is not the colour of the curtain that I received.",
    "If box {number} is damaged, do not open it, and write to us before {day}.",
    "My daughter lost the key of the bicycle, can I get another one with the number {number}?",
    "Your colleague {name} was very patient and explained all {number} steps to me.",
    "The film stops after {number} seconds, and then the screen stays black.",
    "I would rather have my {number} euros back than another kettle of the same kind.",
    "What happens to my {number} points when I close the account?",
)
_PORTUGUESE = (
    "Onde está o meu pedido {number}?",
    "Comprei {number} casacos azuis na {day} e eles ainda não chegaram.",
    "O pacote {number} ficou com o meu vizinho {name}, que está de férias até {day}.",
    "Por favor, cancele o pedido {number} e devolva o dinheiro à minha conta.",
    "{name} me disse ao telefone que o conserto levaria {number} dias.",
    "A bateria do modelo {number} dura apenas algumas horas, embora a página prometa um dia inteiro.",
    "Como posso mudar o endereço do pedido {number} depois de ter pago?",
    "A minha fatura mostra {number} euros, mas paguei menos do que isso.",
    "O sapato esquerdo do par {number} é maior do que o direito.",
    "Você pode me dizer se o museu da rua {number} abre na {day}?",
    "Li a página {number} do manual duas vezes e ainda não consigo ligar a impressora à rede.",
    "Obrigado, {name}, a nova peça número {number} chegou esta manhã e funciona bem.",
    "Gostaríamos de reservar uma mesa para {number} pessoas na {day} à noite.",
    "A cor da fotografia {number} não é a cor da cortina que recebi.",
    "Se a caixa {number} estiver danificada, não a abra e escreva para nós antes de {day}.",
    "A minha filha perdeu a chave da bicicleta, posso receber outra com o número {number}?",
    "O seu colega {name} foi muito paciente e me explicou os {number} passos.",
    "O filme para depois de {number} segundos, e a tela fica preta.",
    "Prefiro os meus {number} euros de volta a outra chaleira do mesmo tipo.",
    "O que acontece com os meus {number} pontos quando fecho a conta?",
)
_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "pt": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"),
}
_NAMES = ("Ana", "Carlos", "Helena", "Miguel", "Teresa", "Rafael")


def sentences(language: str, start: int, count: int) -> list[str]:
    """Return the sentences `start` to `start + count` in "en" or "pt"; no two of ten thousand are the same."""
    forms, days = {"en": _ENGLISH, "pt": _PORTUGUESE}[language], _DAYS[language]
    return [
        forms[index % len(forms)].format(
            number=2 + index, day=days[index // 20 % len(days)], name=_NAMES[index // 20 % len(_NAMES)]
        )
        for index in range(start, start + count)
    ]
