"""Makes the two people of the demonstration and their groups."""

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand

PEOPLE = {"john": ["kitchen", "garden"], "mary": ["kitchen"]}


class Command(BaseCommand):
    """`manage.py furnish`: may be run again; passwords are the names."""

    help = "make the people of the demonstration: " + ", ".join(PEOPLE)

    def handle(self, **options):
        """Makes whoever is not there yet."""
        for name, groups in PEOPLE.items():
            person, made = User.objects.get_or_create(username=name)
            if made:
                person.set_password(name)
                person.save()
            person.groups.set([Group.objects.get_or_create(name=group)[0] for group in groups])
