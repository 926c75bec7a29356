"""The texts of the invitation page's script. Keys are used in static/accounts/."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

INVITATION_MESSAGES = {
    "role_owner": _("owner"),
    "role_admin": _("administrator"),
    "role_agent": _("agent"),
    "role_analyst": _("analyst"),
    # A new account
    "join_title": _("Join {organization}"),
    "join_text": _("You are invited as {role}. Choose a password, and you are in."),
    "email": _("E-mail address"),
    "name": _("Your name"),
    "name_help": _("Visitors see it when you answer them."),
    "password": _("Password"),
    "password_help": _("At least 10 characters, not only digits, and no word that everybody uses."),
    "password_show": _("Show the password"),
    "join": _("Join"),
    "joining": _("Joining"),
    # An account that exists
    "ready_text": _("You are invited as {role}, and you are signed in as {email}."),
    "sign_in_title": _("Sign in to join {organization}"),
    "sign_in_text": _("There is an account for {email}. Sign in with it, and you come back here."),
    "sign_in": _("Sign in"),
    "wrong_title": _("This invitation is for somebody else"),
    "wrong_text": _("It is for {email}, and you are signed in with another address. Sign out to accept it."),
    "sign_out": _("Sign out"),
    "unproven_title": _("First show that the address is yours"),
    "unproven_text": _(
        "An organisation made the account for {email}, and nobody has shown yet that the address is yours. Until then "
        "it joins no further organisation."
    ),
    "unproven_mail": _(
        "Have a link to a new password sent to your address. When you have chosen one, open the invitation again."
    ),
    "unproven_operator": _("Ask whoever runs this installation to prove your address with this command:"),
    "send_link": _("Send me a link"),
    # The end
    "done_title": _("You are in"),
    "done_text": _("You have joined {organization}. The inbox opens now."),
    "to_work": _("Continue"),
    "done_sign_in": _("You have joined {organization}. Sign in with your new password."),
    "invalid_title": _("This invitation no longer works"),
    "invalid_text": _(
        "It was used already, was withdrawn or has expired. Ask the person who invited you for a new one."
    ),
    "none_title": _("Open the link of your invitation"),
    "none_text": _("This page needs the whole link, with everything behind the #."),
    "to_sign_in": _("Back to sign in"),
    # Refusals
    "error_title": _("That did not work"),
    "error_network": _("The server cannot be reached. Nothing was lost."),
    "error_rate_limited": _("Too many tries from your network. Wait a minute."),
    "error_members_full": _("The organisation has as many members as it may have."),
    "error_member_exists": _("You are a member of this organisation already."),
    "error_other": _(
        "Something went wrong. If it stays so, give this number to whoever runs the installation: {request}"
    ),
    "try_again": _("Try again"),
}
