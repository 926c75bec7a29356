"""Which of the accounts from before are proven, and an end to addresses that members added themselves.

Until now an organisation could make an account for any address with a password of its choice. An account counts as
proven only where a command of the operator made it: the audit trail names the command ("system:...") as the one who
added it, at the moment when the account was made. So does an operator's account, which only a command can mark. All
others are unproven: they keep their organisations and passwords, and join no further one until their address is proven.

Members could also add foreign addresses to their accounts and sign in, or reset the password, by them.
"""

from datetime import timedelta

from django.db import migrations
from django.db.models import F
from django.db.models.functions import Lower

# The account and the audit row are one transaction, or two within one command.
TOGETHER = timedelta(seconds=60)


def prove(apps, schema_editor):
    user_model = apps.get_model("accounts", "User")
    membership_model = apps.get_model("accounts", "Membership")
    user_model.objects.filter(is_staff=True).update(email_verified_at=F("date_joined"))
    with schema_editor.connection.cursor() as cursor:
        # Each organisation in its own scope: the audit trail's wall binds the tables' owner too.
        for tenant_id in membership_model.objects.values_list("tenant_id", flat=True).distinct():
            cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant_id)])
            cursor.execute(
                "UPDATE accounts_user u SET email_verified_at = u.date_joined FROM events_auditentry a "
                "WHERE a.tenant_id = %s AND a.action = 'member.added' AND a.actor LIKE 'system:%%' "
                "AND a.target = u.id::text AND u.email_verified_at IS NULL "
                "AND a.created_at BETWEEN u.date_joined - %s AND u.date_joined + %s",
                [tenant_id, TOGETHER, TOGETHER],
            )
        cursor.execute("SELECT set_config('app.tenant_id', '', true)")


def addresses_drop(apps, schema_editor):
    addresses = apps.get_model("account", "EmailAddress").objects
    addresses.annotate(own=Lower("user__email"), stated=Lower("email")).exclude(own=F("stated")).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_invitations"),
        ("events", "0002_tenant_wall"),
        ("account", "0009_emailaddress_unique_primary_email"),
    ]

    operations = [
        migrations.RunPython(prove, migrations.RunPython.noop),
        migrations.RunPython(addresses_drop, migrations.RunPython.noop),
    ]
