"""What h11 and llhttp (in httptools, with which uvicorn serves) make of HTTP/1 messages.

    second_opinion.py FILE

FILE is a JSON list of cases, each ["requests" or "response", text]: a character is a byte. Prints a list with an object
for each case: reader -> list of whole messages [start, [[name, value], ...], body], as far as the reader goes.
"""

import json
import sys

import h11
import httptools

LARGE = 1 << 24


def origin_form(target):
    """Without scheme and authority."""
    if target.startswith(b"/") or target == b"*":
        return target
    rest = target.partition(b"://")[2]
    at = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    return (b"" if rest[at : at + 1] == b"/" else b"/") + rest[at:]


def h11_requests(data):
    messages = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGE)
    connection.receive_data(data)
    connection.receive_data(b"")
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return messages
        if isinstance(event, h11.Request):
            message = [event.method + b" " + origin_form(event.target), event.headers.raw_items(), b""]
        elif isinstance(event, h11.Data):
            message[2] += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            messages.append(message)
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return messages
            connection.start_next_cycle()
        else:
            return messages


def h11_response(data):
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGE)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    connection.receive_data(b"")
    message = None
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return []
        if isinstance(event, h11.Response):
            message = [str(event.status_code).encode(), event.headers.raw_items(), b""]
        elif isinstance(event, h11.Data):
            message[2] += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return [message]
        elif not isinstance(event, h11.InformationalResponse):
            return []


class Listener:
    """Takes what llhttp tells."""

    def __init__(self):
        self.whole = []
        self.parser = None

    def on_message_begin(self):
        self.url, self.fields, self.body, self.in_head = b"", [], b"", True

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        if self.in_head:
            self.fields.append((name, value))

    def on_headers_complete(self):
        self.in_head = False

    def on_body(self, body):
        self.body += body

    def start(self):
        if isinstance(self.parser, httptools.HttpResponseParser):
            return str(self.parser.get_status_code()).encode()
        return self.parser.get_method() + b" " + origin_form(self.url)

    def on_message_complete(self):
        self.whole.append([self.start(), self.fields, self.body])
        self.in_head = True


def llhttp_requests(data):
    messages = []
    while data:
        listener = Listener()
        listener.parser = httptools.HttpRequestParser(listener)
        try:
            listener.parser.feed_data(data)
            data = b""
        except httptools.HttpParserUpgrade as upgrade:
            # The server goes on in HTTP.
            data = data[upgrade.args[0] :]
        except httptools.HttpParserError:
            data = b""
        messages += listener.whole
    return messages


def llhttp_response(data):
    listener = Listener()
    listener.parser = httptools.HttpResponseParser(listener)
    try:
        listener.parser.feed_data(data)
    except httptools.HttpParserError:
        pass
    final = [message for message in listener.whole if not message[0].startswith(b"1")]
    if final:
        return final[:1]
    # The end of the connection, which the binding cannot tell, ends a body without a length.
    framed = {name.lower() for name, _ in getattr(listener, "fields", [])} & {b"content-length", b"transfer-encoding"}
    if hasattr(listener, "fields") and not listener.in_head and not framed:
        return [[listener.start(), listener.fields, listener.body]]
    return []


READERS = {
    "requests": {"h11": h11_requests, "llhttp": llhttp_requests},
    "response": {"h11": h11_response, "llhttp": llhttp_response},
}


def text(value):
    return bytes(value).decode("latin-1")


def readings(side, data):
    return {
        name: [
            [text(start), [[text(name), text(value)] for name, value in fields], text(body)]
            for start, fields, body in read(data)
        ]
        for name, read in READERS[side].items()
    }


with open(sys.argv[1], encoding="ascii") as file:
    cases = json.load(file)
json.dump([readings(side, data.encode("latin-1")) for side, data in cases], sys.stdout)
