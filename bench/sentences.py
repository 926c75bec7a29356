"""Sentences to translate, as customers of a shop write them: 20 of each language, with other numbers and names each time."""

from __future__ import annotations

import random

_ENGLISH = (
    "Where is my order {number}?",
    "I ordered a blue jacket on {day} and it has not arrived yet.",
    "The parcel was left with my neighbour {name}, who is on holiday until {day}.",
    "Please cancel order {number} and send the money back to my account.",
    "{name} told me on the phone that the repair would take {number} days.",
    "The battery lasts only a few hours, although the page promises a whole day.",
    "How can I change the address after I have paid?",
    "My invoice shows {number} euros, but I paid less than that.",
    "The left shoe is larger than the right one.",
    "Could you tell me whether the museum is open on {day}?",
    "I have read the manual twice and still cannot connect the printer to the network.",
    "Thank you, {name}, the new part arrived this morning and works well.",
    "We would like to book a table for {number} people on {day} evening.",
    "The colour in the photograph is not the colour of the curtain that I received.",
    "If the box is damaged, do not open it, and write to us before {day}.",
    "My daughter lost the key of the bicycle, can I get another one with the number {number}?",
    "Your colleague {name} was very patient and explained every step to me.",
    "The film stops after ten minutes, and then the screen stays black.",
    "I would rather have the money back than another kettle of the same kind.",
    "What happens to my points when I close the account?",
)
_PORTUGUESE = (
    "Onde está o meu pedido {number}?",
    "Comprei um casaco azul na {day} e ele ainda não chegou.",
    "O pacote ficou com o meu vizinho {name}, que está de férias até {day}.",
    "Por favor, cancele o pedido {number} e devolva o dinheiro à minha conta.",
    "{name} me disse ao telefone que o conserto levaria {number} dias.",
    "A bateria dura apenas algumas horas, embora a página prometa um dia inteiro.",
    "Como posso mudar o endereço depois de ter pago?",
    "A minha fatura mostra {number} euros, mas paguei menos do que isso.",
    "O sapato esquerdo é maior do que o direito.",
    "Você pode me dizer se o museu abre na {day}?",
    "Li o manual duas vezes e ainda não consigo ligar a impressora à rede.",
    "Obrigado, {name}, a nova peça chegou esta manhã e funciona bem.",
    "Gostaríamos de reservar uma mesa para {number} pessoas na {day} à noite.",
    "A cor da fotografia não é a cor da cortina que recebi.",
    "Se a caixa estiver danificada, não a abra e escreva para nós antes de {day}.",
    "A minha filha perdeu a chave da bicicleta, posso receber outra com o número {number}?",
    "O seu colega {name} foi muito paciente e me explicou cada passo.",
    "O filme para depois de dez minutos, e a tela fica preta.",
    "Prefiro o dinheiro de volta a outra chaleira do mesmo tipo.",
    "O que acontece com os meus pontos quando fecho a conta?",
)
_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "pt": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"),
}
_NAMES = ("Ana", "Carlos", "Helena", "Miguel", "Teresa", "Rafael")


def sentences(language: str, count: int) -> list[str]:
    """Return `count` sentences in "en" or "pt", the same every time."""
    forms, choice = {"en": _ENGLISH, "pt": _PORTUGUESE}[language], random.Random(11)
    return [
        forms[index % len(forms)].format(
            number=choice.randint(2, 9999), day=choice.choice(_DAYS[language]), name=choice.choice(_NAMES)
        )
        for index in range(count)
    ]
