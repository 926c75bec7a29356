"""How members are invited: how long a link lives, and how many there may be."""

from __future__ import annotations

from nlpsuite.settings import env

# Long enough for a holiday week, short enough that a forgotten message opens nothing.
INVITATION_DAYS = env.env_int("INVITATION_DAYS", 7)
# Of one organisation, unanswered.
INVITATIONS_MAX_PENDING = env.env_int("INVITATIONS_MAX_PENDING", 200)
# The installation's mail server must not become a way to flood an address, or a list of them.
INVITATION_MAILS_PER_ADDRESS_PER_DAY = env.env_int("INVITATION_MAILS_PER_ADDRESS_PER_DAY", 5)
INVITATION_MAILS_PER_DAY = env.env_int("INVITATION_MAILS_PER_DAY", 500)
# Looks at and answers to invitations from one network address: an office behind one address joins in one go.
INVITATION_TRIES_PER_MINUTE = env.env_int("INVITATION_TRIES_PER_MINUTE", 60)
