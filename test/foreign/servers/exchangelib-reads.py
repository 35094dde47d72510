"""What exchangelib sees of a mailbox that somebody else filled, and the order of the schema as it knows it. Prints JSON."""

import json
import sys

from exchangelib import BASIC, IMPERSONATION, Account, CalendarItem, Configuration, Contact, Credentials, EWSTimeZone
from exchangelib import Message, Task, Version
from exchangelib.version import EXCHANGE_2016

config = Configuration(
    service_endpoint=sys.argv[1],
    credentials=Credentials("CONTOSO\\svc-sync", "Impersonate-1"),
    auth_type=BASIC,
    version=Version(EXCHANGE_2016),
    retry_policy=None,
)
box = Account(
    sys.argv[2], config=config, autodiscover=False, access_type=IMPERSONATION, default_timezone=EWSTimeZone("UTC")
)


def order(kind):
    names = []
    for each in kind.FIELDS:
        uri = getattr(each, "field_uri", None)
        names.append(getattr(each, "PARENT_ELEMENT_NAME", None) or (uri or each.name).split(":")[-1])
    return names


(series,) = [item for item in box.calendar.all() if item.type == "RecurringMaster"]
(contact,) = list(box.contacts.all())
(task,) = list(box.tasks.all())
(mail,) = list(box.inbox.all())
changed = series.modified_occurrences
told = {
    "order": {kind.ELEMENT_NAME: order(kind) for kind in (CalendarItem, Contact, Task, Message)},
    "series": [
        series.subject,
        series.body,
        sorted(series.categories),
        [each.mailbox.email_address for each in series.required_attendees],
        series.recurrence.boundary.number,
        str(series._start_timezone),
        [[each.original_start.isoformat(), each.start.isoformat()] for each in changed],
        [each.start.isoformat() for each in series.deleted_occurrences],
    ],
    "contact": [contact.file_as, contact.email_addresses[0].email, contact.physical_addresses[0].city],
    "task": [task.subject, task.status, str(task.percent_complete), task.due_date.isoformat()],
    "mail": [mail.subject, mail.author.email_address, mail.datetime_sent.isoformat(), str(mail.body), mail.message_id],
}
print(json.dumps(told, ensure_ascii=False))
