"""The intents of support messages that come with the product: a few phrases for each, in a customer's words."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

SUPPORT_INTENTS: dict[str, tuple[str, ...]] = {
    "order status": (
        "Where is my order?",
        "When will my package arrive?",
        "My parcel still has not been delivered.",
        "The tracking number does not work.",
        "Has my order been shipped yet?",
        "The courier says delivered but I have received nothing.",
    ),
    "return or refund": (
        "I want to send this back and get my money back.",
        "How do I return an item?",
        "I would like a refund.",
        "When will I get my refund?",
        "Can I exchange it for another size?",
        "What is your return policy?",
    ),
    "cancellation": (
        "Please cancel my order.",
        "I want to cancel my subscription.",
        "How do I end my contract?",
        "Stop my membership from renewing.",
        "I ordered by mistake, can you cancel it?",
        "Close my subscription at the end of the month.",
    ),
    "payment or invoice": (
        "My card was declined at checkout.",
        "I was charged twice.",
        "Can you send me the invoice?",
        "Which payment methods do you accept?",
        "There is a charge on my bill that I do not recognise.",
        "I need a receipt with our VAT number.",
    ),
    "account or sign-in": (
        "I cannot log in to my account.",
        "I forgot my password.",
        "The reset link does not work.",
        "How do I change my e-mail address?",
        "My account has been locked.",
        "Please delete my account and my data.",
    ),
    "technical problem": (
        "The app crashes when I open it.",
        "I get an error message when I try to save.",
        "The website does not load.",
        "It stopped working after the update.",
        "The device does not connect to the network.",
        "The installation fails every time.",
    ),
    "damaged or wrong item": (
        "The item arrived broken.",
        "You sent me the wrong product.",
        "A part is missing from the box.",
        "The screen has a crack.",
        "This is not what I ordered.",
        "The product stopped working after two days.",
    ),
    "product question": (
        "Does this come in blue?",
        "What size should I order?",
        "Is this compatible with my phone?",
        "How much does the larger model weigh?",
        "Is it back in stock soon?",
        "What is the difference between these two products?",
    ),
    "price or discount": (
        "Do you have a discount code?",
        "How much does it cost?",
        "Is there a student price?",
        "The coupon is not accepted.",
        "Can you give us a quote for fifty licences?",
        "Will it go on sale soon?",
    ),
    "complaint": (
        "I am very unhappy with your service.",
        "This is the third time that I have to write to you.",
        "Nobody has answered me for a week.",
        "Your staff was rude to me.",
        "I will tell everybody how badly you treat customers.",
        "This is unacceptable, I want to speak to a manager.",
    ),
    "praise or thanks": (
        "Thank you so much for your help!",
        "Great service, keep it up.",
        "That solved my problem, thanks.",
        "I love this product.",
        "You were really quick, I am impressed.",
        "Everything arrived perfectly, thank you.",
    ),
    "talk to a person": (
        "Can I talk to a human?",
        "I want to speak to an agent.",
        "Please connect me with a real person.",
        "Is there somebody I can call?",
        "Let me chat with your support team.",
        "I do not want to talk to a bot.",
    ),
}

# Their names for people, by the key that static/js/lib/intents.js asks for. The API calls an intent by its English words.
INTENT_MESSAGES = {
    "intent_order_status": _("order status"),
    "intent_return_or_refund": _("return or refund"),
    "intent_cancellation": _("cancellation"),
    "intent_payment_or_invoice": _("payment or invoice"),
    "intent_account_or_sign_in": _("account or sign-in"),
    "intent_technical_problem": _("technical problem"),
    "intent_damaged_or_wrong_item": _("damaged or wrong item"),
    "intent_product_question": _("product question"),
    "intent_price_or_discount": _("price or discount"),
    "intent_complaint": _("complaint"),
    "intent_praise_or_thanks": _("praise or thanks"),
    "intent_talk_to_a_person": _("talk to a person"),
}
