"""A whole life in a mailbox, as exchangelib lives it. Arguments: URL, authentication (basic or ntlm). Prints JSON."""

import json
import sys
import threading
from datetime import timedelta
from decimal import Decimal

from exchangelib import BASIC, IMPERSONATION, NTLM, Account, CalendarItem, Configuration, Contact, Credentials, EWSDate
from exchangelib import EWSDateTime, EWSTimeZone, FileAttachment, HTMLBody, Message, Task, Version, errors
from exchangelib.fields import MONDAY
from exchangelib.indexed_properties import EmailAddress, PhoneNumber, PhysicalAddress
from exchangelib.properties import Attendee, Mailbox
from exchangelib.recurrence import Recurrence, WeeklyPattern
from exchangelib.version import EXCHANGE_2016

url, kind = sys.argv[1], sys.argv[2]
told = {}
berlin = EWSTimeZone("Europe/Berlin")


def open_box(address, user="CONTOSO\\svc-sync", password="Impersonate-1"):
    config = Configuration(
        service_endpoint=url,
        credentials=Credentials(user, password),
        auth_type={"basic": BASIC, "ntlm": NTLM}[kind],
        version=Version(EXCHANGE_2016),
        retry_policy=None,
        max_connections=4,
    )
    return Account(address, config=config, autodiscover=False, access_type=IMPERSONATION, default_timezone=berlin)


box = open_box("anna@contoso.example")


def sync(folder):
    changes = folder.sync_items(sync_state=folder.item_sync_state)
    return [[change, getattr(item, "subject", None)] for change, item in changes]


# A series with umlauts and characters that XML must escape, one exception and one occurrence less.
sync(box.calendar)
series = CalendarItem(
    account=box,
    folder=box.calendar,
    subject="Prüfung <Q4> & mehr",
    body="Zeile 1\nZeile 2",
    location="Köln",
    categories=["Kunde"],
    start=EWSDateTime(2026, 3, 2, 9, 0, tzinfo=berlin),
    end=EWSDateTime(2026, 3, 2, 10, 0, tzinfo=berlin),
    required_attendees=[Attendee(mailbox=Mailbox(email_address="ben@contoso.example"), response_type="Unknown")],
    recurrence=Recurrence(pattern=WeeklyPattern(interval=1, weekdays=[MONDAY]), start=EWSDate(2026, 3, 2), number=6),
)
series.save(send_meeting_invitations="SendToNone")
told["created"] = sync(box.calendar)
read = box.calendar.get(id=series.id, changekey=series.changekey)
told["read"] = [read.subject, read.location, read.body, read.type, read.start.isoformat(), read.recurrence.boundary.number]
moved = series.occurrence(index=3)
moved.refresh()
moved.subject = "Verschoben"
moved.start = moved.start + timedelta(hours=2)
moved.end = moved.end + timedelta(hours=2)
moved.save(update_fields=["subject", "start", "end"], send_meeting_invitations="SendToNone")
fifth = series.occurrence(index=5)
fifth.refresh()
fifth.delete(send_meeting_cancellations="SendToNone")
read = box.calendar.get(id=series.id)
told["exceptions"] = [
    [[each.start.isoformat(), each.original_start.isoformat()] for each in read.modified_occurrences],
    [each.start.isoformat() for each in read.deleted_occurrences],
]
view = box.calendar.view(start=EWSDateTime(2026, 3, 1, tzinfo=berlin), end=EWSDateTime(2026, 4, 30, tzinfo=berlin))
told["view"] = [[item.start.isoformat(), item.subject, item.type] for item in view]
told["updated"] = sync(box.calendar)
read.subject = "Anders"
read.location = None
read.save(update_fields=["subject", "location"], send_meeting_invitations="SendToNone")
read.refresh()
told["changed"] = [read.subject, read.location]
stale = CalendarItem(account=box, folder=box.calendar, id=read.id, changekey=series.changekey, subject="zu spät")
try:
    stale.save(update_fields=["subject"], conflict_resolution="NeverOverwrite", send_meeting_invitations="SendToNone")
    told["stale"] = "taken"
except errors.ErrorIrresolvableConflict:
    told["stale"] = "ErrorIrresolvableConflict"
read.refresh()
read.delete(send_meeting_cancellations="SendToNone")
told["deleted"] = [change for change, _ in sync(box.calendar)]

# A contact with the lists that have keys.
contact = Contact(
    account=box,
    folder=box.contacts,
    display_name="Zoë Müller",
    given_name="Zoë",
    surname="Müller",
    company_name="ACME",
    email_addresses=[EmailAddress(label="EmailAddress1", email="zoe@acme.example")],
    phone_numbers=[PhoneNumber(label="MobilePhone", phone_number="+49 1")],
    physical_addresses=[PhysicalAddress(label="Business", street="Weg 1", city="Walldorf", zipcode="69190")],
)
contact.save()
contact.email_addresses = [EmailAddress(label="EmailAddress1", email="neu@acme.example")]
contact.physical_addresses = [PhysicalAddress(label="Business", street="Weg 2", city="Walldorf", zipcode="69190")]
contact.save(update_fields=["email_addresses", "physical_addresses"])
again = box.contacts.get(id=contact.id)
told["contact"] = [
    again.given_name,
    again.surname,
    [each.email for each in again.email_addresses],
    [[each.street, each.city] for each in again.physical_addresses],
]

# A task that is done.
task = Task(account=box, folder=box.tasks, subject="Angebot", due_date=EWSDate(2026, 3, 6), status="InProgress", percent_complete=Decimal(40))
task.save()
task.status = "Completed"
task.save(update_fields=["status"])
again = box.tasks.get(id=task.id)
told["task"] = [again.status, str(again.percent_complete), again.is_complete, again.due_date.isoformat()]

# A mail with an attachment, found by its subject.
mail = Message(account=box, folder=box.drafts, subject="Anfrage", body=HTMLBody("<p>Hallo</p>"), to_recipients=["ben@contoso.example"])
mail.attach(FileAttachment(name="größe.bin", content=b"\x00\x01\xff"))
mail.save()
found = list(box.drafts.filter(subject="Anfrage"))
told["mail"] = [len(found), found[0].attachments[0].name, list(found[0].attachments[0].content), str(found[0].body)]
found[0].is_read = True
found[0].save(update_fields=["is_read"])

# Notifications over a stream.
heard = []


def hear():
    for note in box.tasks.get_streaming_events(subscription, connection_timeout=1, max_notifications_returned=1):
        heard.extend(type(event).__name__ for event in note.events)


with box.tasks.streaming_subscription() as subscription:
    listener = threading.Thread(target=hear, daemon=True)
    listener.start()
    Task(account=box, folder=box.tasks, subject="neu").save()
    listener.join(30)
told["heard"] = heard

# Who may not.
for name, address, user in [
    ("stranger", "anna@contoso.example", "CONTOSO\\stranger"),
    ("nobody", "nobody@contoso.example", "CONTOSO\\svc-sync"),
]:
    try:
        list(open_box(address, user).calendar.all())
        told[name] = "let in"
    except errors.EWSError as error:
        told[name] = type(error).__name__
try:
    box.calendar.item_sync_state = "garbage"
    list(box.calendar.sync_items(sync_state="garbage"))
    told["garbage"] = "taken"
except errors.ErrorInvalidSyncStateData:
    told["garbage"] = "ErrorInvalidSyncStateData"

print(json.dumps(told, ensure_ascii=False))
